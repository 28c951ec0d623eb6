"""What is asked of a gateway: one tunnel. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from hatchway.client.errors import InvalidOption
from hatchway.domain.addresses import parse_address
from hatchway.domain.ids import ENDPOINT_ID
from hatchway.domain.tunnel_protocol import LONGEST_DURATION
from hatchway.sigv4.signing import presign

if TYPE_CHECKING:
    from datetime import datetime

    from hatchway.client.api.shared_files import Credentials

URL_LIFETIME: Final = 60
"""Seconds for which the presigned URL is good, as in the AWS CLI."""

_DNS_NAME: Final = re.compile(r"[0-9a-zA-Z.-]{1,253}")


class TunnelRequest(NamedTuple):
    """The parameters of OpenTunnel. `max_tunnel_duration` is in seconds; None asks for none in particular."""

    endpoint_id: str
    dns_name: str
    private_ip_address: str
    remote_port: int = 22
    max_tunnel_duration: int | None = None

    def checked(self) -> Self:
        """This.

        Raises:
            InvalidOption: a value is not one that a gateway could accept.
        """
        if not ENDPOINT_ID.fullmatch(self.endpoint_id):
            raise InvalidOption(
                f"{self.endpoint_id!r} is not an endpoint id, which looks like eice-0123456789abcdef0"
            )
        if not _DNS_NAME.fullmatch(self.dns_name):
            raise InvalidOption(f"{self.dns_name!r} is not an endpoint's DNS name, which has no port")
        try:
            parse_address(self.private_ip_address)
        except ValueError:
            raise InvalidOption(f"{self.private_ip_address!r} is not an IP address") from None
        if not 1 <= self.remote_port <= 65535:
            raise InvalidOption(f"{self.remote_port} is not a port: give one from 1 to 65535")
        if self.max_tunnel_duration is not None and not 1 <= self.max_tunnel_duration <= LONGEST_DURATION:
            raise InvalidOption(f"a tunnel's maximum duration is 1 to {LONGEST_DURATION} seconds")
        return self

    def presigned(self, credentials: Credentials, *, region: str, now: datetime) -> str:
        """Path and query of the request, signed.

        Args:
            now: an aware datetime in UTC.
        """
        params = {
            "instanceConnectEndpointId": self.endpoint_id,
            "remotePort": str(self.remote_port),
            "privateIpAddress": self.private_ip_address,
        }
        if self.max_tunnel_duration is not None:
            params["maxTunnelDuration"] = str(self.max_tunnel_duration)
        return presign(
            self.dns_name,
            "/openTunnel",
            params,
            access_key_id=credentials.access_key_id,
            secret_access_key=credentials.secret_access_key,
            session_token=credentials.session_token,
            region=region,
            service="ec2-instance-connect",
            now=now,
            expires=URL_LIFETIME,
        )
