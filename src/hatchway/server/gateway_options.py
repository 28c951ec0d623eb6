"""How gateways are to run. `hatchway serve` passes it on to each `hatchway gateway`."""

from dataclasses import dataclass
from enum import StrEnum

from hatchway.settings import DEFAULT_DRAIN_NOTICE, Address


class Switch(StrEnum):
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """How gateways are to run, beyond where they listen."""

    proxy_protocol_from: tuple[str, ...] = ()
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    never_targets: tuple[str, ...] = ()
    metrics: Address | None = None
    idle_limit: int | None = None
    max_tunnels: int | None = None
    revocation: Switch = Switch.ON
    drain_notice: float = DEFAULT_DRAIN_NOTICE
    compiled_core: Switch = Switch.ON

    def arguments(self, worker: int) -> list[str]:
        """The same as arguments of `hatchway gateway` for one of the workers, counted from 1."""
        words = [word for cidr in self.proxy_protocol_from for word in ("--proxy-protocol-from", cidr)]
        words += [word for vpc in self.vpcs for word in ("--vpc", vpc)]
        words += [word for endpoint in self.endpoints for word in ("--endpoint", endpoint)]
        words += [word for place in self.never_targets for word in ("--never-target", place)]
        if self.metrics is not None:
            port = self.metrics.port and self.metrics.port + worker - 1
            words += ["--metrics", str(Address(self.metrics.host, port))]
        if self.idle_limit is not None:
            words += ["--idle-limit", str(self.idle_limit)]
        if self.max_tunnels is not None:
            words += ["--max-tunnels", str(self.max_tunnels)]
        words += ["--drain-notice", f"{self.drain_notice:g}"]
        words += ["--compiled-core", self.compiled_core.value]
        return [*words, "--revocation", self.revocation.value]
