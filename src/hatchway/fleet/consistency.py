"""Whether the account as it should be is consistent: names, ranges and addresses against each other.

A problem is reported where the file says something that is part of it. What is wrong between things that the
file does not name is not a problem of the file.
"""

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from hatchway.domain.addresses import parse_address, within
from hatchway.fleet.draft import KIND_OF, Draft
from hatchway.fleet.fields import at

if TYPE_CHECKING:
    from hatchway.domain.network import Instance, NetworkInterface, Subnet

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_consistency(draft: Draft) -> None:
    """Adds every contradiction that the file is part of to the draft's problems."""
    _check_names(draft)
    _check_ranges(draft)
    _check_networks(draft)
    _check_addresses(draft)


def _conflict(
    draft: Draft,
    ours: tuple[str, str],
    theirs: tuple[str, str],
    key: str,
    message: str,
    *,
    from_theirs: tuple[str, str] | None = None,
) -> None:
    """A problem between two rows, told at the one that the file names; `{}` in the message is the other.

    `from_theirs` is the key and the message where that is the second, when they are others there.
    """
    place = draft.place_of(*ours)
    if place is None:
        ours, theirs = theirs, ours
        key, message = from_theirs or (key, message)
        place = draft.place_of(*ours)
    if place is not None:
        draft.problems.add(at(place, key) if key else place, message.format(_called(draft, theirs)))


def _called(draft: Draft, row: tuple[str, str]) -> str:
    table, key = row
    return draft.place_of(table, key) or f"{KIND_OF[table]} {key}, which is not in the file"


# --- names ------------------------------------------------------------------------------------------------

# IAM's names differ by more than case (AWS: "IAM identifiers").
_NAMES: dict[str, Callable[[Any], object]] = {
    "vpcs": lambda vpc: vpc.name,
    "subnets": lambda subnet: (subnet.vpc_id, subnet.name),
    "security_groups": lambda group: (group.vpc_id, group.name),
    "instances": lambda instance: instance.name,
    "endpoints": lambda endpoint: endpoint.name,
    "managed_policies": lambda policy: policy.name.lower(),
    "groups": lambda group: group.name.lower(),
    "users": lambda user: user.name.lower(),
    "roles": lambda role: role.name.lower(),
}
_WITH_UNIQUE_IDS = ("managed_policies", "groups", "users", "roles")


def _check_names(draft: Draft) -> None:
    for table, name_of in _NAMES.items():
        rows = getattr(draft.after, table)
        for first, second in _repeated((name_of(noun), key) for key, noun in rows.items()):
            _conflict(draft, (table, second), (table, first), "", "has the name of {}")
    for table in _WITH_UNIQUE_IDS:
        rows = getattr(draft.after, table)
        for first, second in _repeated((noun.id, key) for key, noun in rows.items()):
            _conflict(draft, (table, second), (table, first), "id", "is the id of {} too")


def _repeated(pairs: Iterable[tuple[object, str]]) -> Iterable[tuple[str, str]]:
    """The keys of each two rows that share something which only one may have; None may be shared."""
    seen: dict[object, str] = {}
    for shared, key in pairs:
        if shared is None:
            continue
        first = seen.setdefault(shared, key)
        if first != key:
            yield first, key


# --- ranges -----------------------------------------------------------------------------------------------


def _check_ranges(draft: Draft) -> None:
    for vpc in draft.after.vpcs.values():
        for one, other, _, _ in _overlaps((cidr, vpc.id) for cidr in vpc.cidrs):
            _conflict(draft, ("vpcs", vpc.id), ("vpcs", vpc.id), "cidr", f"{one} and {other} overlap")
    by_vpc: dict[str, list[Subnet]] = defaultdict(list)
    for subnet in draft.after.subnets.values():
        by_vpc[subnet.vpc_id].append(subnet)
    for vpc_id, subnets in by_vpc.items():
        vpc = draft.after.vpcs[vpc_id]
        outer = [ipaddress.ip_network(cidr) for cidr in vpc.cidrs]
        for subnet in subnets:
            for cidr in subnet.cidrs:
                if not any(_holds(network, ipaddress.ip_network(cidr)) for network in outer):
                    _conflict(
                        draft,
                        ("subnets", subnet.id),
                        ("vpcs", vpc_id),
                        "cidr",
                        f"{cidr} is not within {', '.join(vpc.cidrs)}, the range of {{}}",
                        from_theirs=(
                            "cidr",
                            f"{cidr}, the range of {{}}, is not within {', '.join(vpc.cidrs)}",
                        ),
                    )
        pairs = ((cidr, subnet.id) for subnet in subnets for cidr in subnet.cidrs)
        for one, other, first, second in _overlaps(pairs):
            _conflict(
                draft,
                ("subnets", second),
                ("subnets", first),
                "cidr",
                f"{other} overlaps {one} of {{}}",
                from_theirs=("cidr", f"{one} overlaps {other} of {{}}"),
            )


_NOT_APART = (
    "a gateway that serves both cannot tell their hosts apart; if they are networks of their own, say"
    " separate_network: true of one, and bind its gateways to it by --vpc"
)


def _check_networks(draft: Draft) -> None:
    """No two VPCs that one gateway serves, being bound to none, have an address in common."""
    served = [vpc for vpc in draft.after.vpcs.values() if not vpc.separate_network]
    for one, other, first, second in _overlaps((cidr, vpc.id) for vpc in served for cidr in vpc.cidrs):
        if first != second:
            _conflict(
                draft,
                ("vpcs", second),
                ("vpcs", first),
                "cidr",
                f"{other} overlaps {one} of {{}}: {_NOT_APART}",
                from_theirs=("cidr", f"{one} overlaps {other} of {{}}: {_NOT_APART}"),
            )


def _holds(outer: Network, inner: Network) -> bool:
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _overlaps(ranges: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str, str, str]]:
    """Ranges that overlap an earlier one, with it: both texts, then both owners."""
    found = sorted(
        (network.version, int(network.network_address), -network.num_addresses, cidr, owner)
        for cidr, owner in ranges
        for network in (ipaddress.ip_network(cidr),)
    )
    # Two ranges overlap only when one holds the other, and what holds a range was begun before it.
    version, end, last = 0, -1, ("", "")
    for this_version, start, size, cidr, owner in found:
        if this_version == version and start <= end:
            yield last[0], cidr, last[1], owner
        else:
            version, end, last = this_version, start - size - 1, (cidr, owner)


# --- addresses --------------------------------------------------------------------------------------------


def _check_addresses(draft: Draft) -> None:
    """Every address lies in its subnet and is one's own within the VPC."""
    rows = draft.after
    holders: dict[tuple[str, str], tuple[str, str]] = {}
    nouns: list[tuple[tuple[str, str], Instance | NetworkInterface]] = [
        (("instances", instance.id), instance) for instance in rows.instances.values()
    ]
    nouns += [
        (("endpoints", interface.endpoint_id), interface) for interface in rows.network_interfaces.values()
    ]
    for row, noun in nouns:
        subnet = rows.subnets.get(noun.subnet_id)
        if subnet is None:
            continue
        for key, address in (("private_ip", noun.private_ip), ("ipv6", noun.ipv6)):
            if address is None:
                continue
            parsed = parse_address(address)
            if problem := _unusable(parsed, subnet):
                _conflict(draft, row, ("subnets", subnet.id), key, f"{address} {problem}")
            elif not within(parsed, subnet.cidrs):
                _conflict(
                    draft,
                    row,
                    ("subnets", subnet.id),
                    key,
                    f"{address} is not within {', '.join(subnet.cidrs)}, the range of {{}}",
                    from_theirs=(
                        "cidr",
                        f"{address}, the address of {{}}, is not within {', '.join(subnet.cidrs)}",
                    ),
                )
            holder = holders.setdefault((noun.vpc_id, address), row)
            if holder != row:
                _conflict(draft, row, holder, key, f"{address} is the address of {{}}")


def _unusable(address: ipaddress.IPv4Address | ipaddress.IPv6Address, subnet: "Subnet") -> str | None:
    """What keeps an IPv4 address from being a host's, in any network (RFC 1122 section 3.2.1.3; RFC 3021)."""
    for network in map(ipaddress.ip_network, subnet.cidrs):
        if network.version == 4 and network.prefixlen < 31 and address in network:
            if address == network.network_address:
                return f"is the address of the network {network} itself, and so no host's"
            if address == network.broadcast_address:
                return f"is the broadcast address of {network}, and so no host's"
    return None
