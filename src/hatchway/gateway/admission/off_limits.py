"""Addresses that are no targets unless somebody registers an instance there.

A tunnel to such an address would make its client a local caller of what listens there (the API, the metrics,
the store), whatever `aws:SourceIp` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from hatchway.domain.addresses import embedded_ipv4, within

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from hatchway.domain.addresses import Address
    from hatchway.domain.network import Instance
    from hatchway.gateway.snapshot.snapshot import Snapshot


class MachineAddresses(Protocol):
    def holds(self, address: Address) -> bool: ...


class OffLimits:
    """The addresses to which a gateway opens no tunnel."""

    def __init__(
        self,
        own: MachineAddresses,
        snapshot: Snapshot,
        *,
        named: Container[Address] = (),
        ranges: Sequence[str] = (),
        drain_ports: Container[int] = (),
    ) -> None:
        """
        Args:
            own: this machine's addresses.
            snapshot: knows the API's addresses.
            named: the addresses of the store and of other hosts given by name.
            ranges: CIDR ranges.
            drain_ports: the ports at which this machine's gateways obey programs on it.
        """
        self._own = own
        self._snapshot = snapshot
        self._named = named
        self._ranges = tuple(ranges)
        self._drain_ports = drain_ports

    def port_problem(self, address: Address, port: int) -> str | None:
        """Why a port is no target, even of a registered instance, in words for the audit trail.

        Through a tunnel to the port where gateways are drained, a client would appear to be on this machine
        itself.
        """
        if port not in self._drain_ports:
            return None
        inner = embedded_ipv4(address)
        if not any(map(self._own.holds, (address,) if inner is None else (address, inner))):
            return None
        return f"{address} port {port} is where gateways are drained from their own machine: never a target"

    def problem(self, address: Address) -> str | None:
        """Why an address without a registered instance is no target, in words for the audit trail."""
        inner = embedded_ipv4(address)
        for each in (address,) if inner is None else (address, inner):
            whose = self._whose(each)
            if whose is not None:
                also = "" if each is address else f" stands for {each}, which"
                return f"{address}{also} is {whose}: no target unless an instance is registered there"
        return None

    def instance_problem(self, instance: Instance, address: Address) -> str | None:
        """The same for an address of a registered instance: an instance that registered itself permits
        nothing."""
        problem = self.problem(address) if instance.registered_itself else None
        return None if problem is None else f"{problem}, and {instance.id} registered itself"

    def _whose(self, address: Address) -> str | None:
        if self._own.holds(address):
            return "the gateway's own machine"
        if self._snapshot.serves_api(str(address)):
            return "a machine of the API"
        if address in self._named:
            return "the store's machine, or another that gateways keep away from"
        if within(address, self._ranges):
            return "in a range that gateways keep away from"
        return None
