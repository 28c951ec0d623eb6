"""What opening a tunnel takes. Pure: what opens it takes longer to load, and is not needed to plan it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from hatchway.client.errors import InvalidOption, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.client.api.shared_files import Credentials
    from hatchway.client.discovery.request import TunnelRequest

HTTPS_PORT: Final = 443


class Route(NamedTuple):
    """How to reach a gateway.

    `dns_name` is whom to trust and what the request's Host says; `address` is where to connect when that name
    does not resolve to it. `ca_bundle` is trusted besides the system's own certificates.
    """

    dns_name: str
    port: int = HTTPS_PORT
    address: str | None = None
    source_address: str | None = None
    ca_bundle: str | None = None

    def checked(self) -> Self:
        """This.

        Raises:
            InvalidOption: the port or the source address is none.
        """
        if not 1 <= self.port <= 65535:
            raise InvalidOption(f"{self.port} is not a port: give one from 1 to 65535")
        if self.source_address is not None:
            try:
                ipaddress.ip_address(self.source_address)
            except ValueError:
                raise InvalidOption(
                    f"--source-address {printable(self.source_address)!r} is not an IP address"
                ) from None
        return self

    def __str__(self) -> str:
        address = "" if self.address is None else f" at {self.address}"
        return f"{self.dns_name}:{self.port}{address}"


class TunnelPlan(NamedTuple):
    """All that opening a tunnel takes, as often as need be. `credentials` may block for a while.

    `instance_id` is there when an instance was asked for: where its address comes from. `others` lead there
    by way of other endpoints, in the order in which they are tried when this one refuses; they have none.
    """

    request: TunnelRequest
    route: Route
    region: str
    credentials: Callable[[], Credentials]
    instance_id: str | None = None
    others: tuple[TunnelPlan, ...] = ()
