"""Which VPCs a gateway serves: it stands in one network, and several VPCs may have the same ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.domain.network import Vpc


class ServedVpcs:
    """The VPCs that a gateway is bound to. One that is bound to none serves all that are not separate
    networks."""

    def __init__(self, bound: Iterable[str] = ()) -> None:
        """`bound` are names or ids of VPCs."""
        self._bound = frozenset(bound)

    def __contains__(self, vpc: Vpc) -> bool:
        if self._bound:
            return vpc.id in self._bound or vpc.name in self._bound
        return not vpc.separate_network

    def missing(self, vpcs: Sequence[Vpc]) -> list[str]:
        """The names and ids that it is bound to and that none of these VPCs has."""
        return sorted(self._bound - {name for vpc in vpcs for name in (vpc.id, vpc.name)})
