"""How gateways are to run. `hatchway serve` passes it on to each `hatchway gateway`."""

from dataclasses import dataclass
from enum import StrEnum

from hatchway.settings import DEFAULT_DRAIN_NOTICE, Address, Cipher


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
    drain_ports: tuple[int, ...] = ()
    idle_limit: int | None = None
    max_tunnels: int | None = None
    revocation: Switch = Switch.ON
    drain_notice: float = DEFAULT_DRAIN_NOTICE
    compiled_core: Switch | None = None
    tls_prefer: Cipher = Cipher.AES_128

    def arguments(self, worker: int, workers: int = 1) -> list[str]:
        """The same as arguments of `hatchway gateway` for one of so many workers, counted from 1."""
        words = [word for cidr in self.proxy_protocol_from for word in ("--proxy-protocol-from", cidr)]
        words += [word for vpc in self.vpcs for word in ("--vpc", vpc)]
        words += [word for endpoint in self.endpoints for word in ("--endpoint", endpoint)]
        words += [word for place in self.never_targets for word in ("--never-target", place)]
        if self.metrics is not None:
            port = self.metrics.port and self.metrics.port + worker - 1
            words += ["--metrics", str(Address(self.metrics.host, port))]
        for other in (*self.drain_ports, *self._siblings(workers)):
            words += ["--drain-port", str(other)]
        if self.idle_limit is not None:
            words += ["--idle-limit", str(self.idle_limit)]
        if self.max_tunnels is not None:
            words += ["--max-tunnels", str(self.max_tunnels)]
        words += ["--drain-notice", f"{self.drain_notice:g}"]
        if self.compiled_core is not None:
            words += ["--compiled-core", self.compiled_core.value]
        words += ["--tls-prefer", self.tls_prefer.value]
        return [*words, "--revocation", self.revocation.value]

    def _siblings(self, workers: int) -> range:
        """The ports for metrics of so many workers."""
        if self.metrics is None or not self.metrics.port or workers == 1:
            return range(0)
        return range(self.metrics.port, self.metrics.port + workers)
