"""Security groups: may a connection leave the endpoint, and may it enter the instance. Pure.

The gateway asks before it connects. To the client every refusal reads `Unable to connect to target`, as in
AWS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hatchway.domain.addresses import parse_network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.domain.addresses import Address
    from hatchway.domain.network import Rule, SecurityGroup


class Peer(NamedTuple):
    """One end of a connection as security groups see it: its address and the groups that it is in."""

    address: Address
    group_ids: frozenset[str] = frozenset()


def _permits(rule: Rule, peer: Peer, port: int) -> bool:
    if rule.protocol not in ("tcp", "-1") or not rule.from_port <= port <= rule.to_port:
        return False
    if rule.peer.startswith("sg-"):
        return rule.peer in peer.group_ids
    return peer.address in parse_network(rule.peer)


def allows_egress(groups: Iterable[SecurityGroup], target: Peer, port: int) -> bool:
    """Whether some egress rule of some group lets a connection out to the target's TCP port."""
    for group in groups:
        for rule in group.egress:
            if _permits(rule, target, port):
                return True
    return False


def allows_ingress(groups: Iterable[SecurityGroup], sources: Iterable[Peer], port: int) -> bool:
    """Whether some ingress rule of some group lets one of the sources in on the TCP port."""
    sources = tuple(sources)
    for group in groups:
        for rule in group.ingress:
            for source in sources:
                if _permits(rule, source, port):
                    return True
    return False
