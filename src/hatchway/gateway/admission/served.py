"""Which endpoints a gateway serves: it stands in one network, and several VPCs may have the same address
ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Vpc


class Served:
    """What a gateway is bound to: VPCs, with every endpoint in them, and endpoints. A gateway that is bound
    to nothing serves all endpoints of VPCs that are not separate networks."""

    def __init__(self, vpcs: Iterable[str] = (), endpoints: Iterable[str] = ()) -> None:
        """Both are names or ids."""
        self._vpcs = frozenset(vpcs)
        self._endpoints = frozenset(endpoints)

    def covers(self, endpoint: Endpoint, vpc: Vpc) -> bool:
        """Whether tunnels are opened through an endpoint, which is in that VPC."""
        return self._is_whole(vpc) or self._is_bound_to(endpoint)

    def reaches(self, vpc: Vpc, endpoints: Iterable[Endpoint]) -> bool:
        """Whether tunnels lead into a VPC, which has these endpoints."""
        return self._is_whole(vpc) or any(map(self._is_bound_to, endpoints))

    def missing(self, vpcs: Iterable[Vpc], endpoints: Iterable[Endpoint]) -> list[str]:
        """The names and ids that the gateway is bound to and that are none of these."""
        return sorted(
            (self._vpcs - {word for vpc in vpcs for word in (vpc.id, vpc.name)})
            | (self._endpoints - {word for each in endpoints for word in (each.id, each.name)})
        )

    def _is_whole(self, vpc: Vpc) -> bool:
        """Whether every endpoint of the VPC is served."""
        if self._vpcs or self._endpoints:
            return vpc.id in self._vpcs or vpc.name in self._vpcs
        return not vpc.separate_network

    def _is_bound_to(self, endpoint: Endpoint) -> bool:
        return endpoint.id in self._endpoints or endpoint.name in self._endpoints
