"""Addresses and CIDR ranges: reading them, and which of them can be targets in a VPC. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NEVER_TARGETS: dict[int, tuple[Network, ...]] = {
    4: tuple(
        ipaddress.ip_network(text)
        for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32")
    ),
    6: tuple(ipaddress.ip_network(text) for text in ("::/128", "::1/128", "fe80::/10", "ff00::/8")),
}


_EMBEDDING: tuple[tuple[ipaddress.IPv6Network, int], ...] = tuple(
    (ipaddress.IPv6Network(prefix), shift)
    for prefix, shift in (
        ("64:ff9b::/96", 0),
        ("64:ff9b:1::/48", 0),
        ("2002::/16", 80),
        ("::ffff:0:0:0/96", 0),
        ("::/96", 0),
    )
)
"""IPv6 ranges whose addresses stand for IPv4 ones somewhere on their way, and the bits right of those.

Sources: RFC 6052 and RFC 8215 (NAT64, which puts them last where the prefix has 96 bits), RFC 3056 (6to4),
RFC 2765 (IPv4-translated), RFC 4291 (IPv4-compatible).
"""


@lru_cache(maxsize=8192)
def parse_address(text: str) -> Address:
    """An address, an IPv4-mapped IPv6 one as its IPv4. The same come again and again.

    Raises:
        ValueError: the text is no address, or names a zone.
    """
    if "%" in text:
        raise ValueError(f"{text!r} names a zone")
    address = ipaddress.ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


@lru_cache(maxsize=65_536)
def parse_network(cidr: str) -> Network:
    """A CIDR range, or an address as the range of it alone; bits beyond the prefix are ignored.

    Raises:
        ValueError: the text is neither.
    """
    return ipaddress.ip_network(cidr, strict=False)


def is_range(text: str) -> bool:
    """Whether a text is an address or a CIDR range, rather than a host's name."""
    try:
        parse_network(text)
    except ValueError:
        return False
    return True


def within(address: Address, cidrs: Iterable[str]) -> bool:
    """Whether the address lies in one of the ranges."""
    return any(address in network for network in map(parse_network, cidrs))


def address_problem(address: Address, vpc_cidrs: Sequence[str]) -> str | None:
    """Why this address can be no target in a VPC of these ranges, or None when it can.

    Loopback, link-local, multicast and unspecified addresses are targets only where a range of the VPC lies
    itself inside such a block, so that 0.0.0.0/0 does not open them.
    """
    holding = [network for network in map(parse_network, vpc_cidrs) if address in network]
    if not holding:
        return f"{address} is not in the endpoint's VPC"
    longest = max([network.prefixlen for network in holding])
    for block in _NEVER_TARGETS[address.version]:
        if longest < block.prefixlen and address in block:
            return f"{address} is in {block}, which is never a target"
    inner = embedded_ipv4(address)
    for block in _NEVER_TARGETS[4] if inner is not None else ():
        if inner in block:
            return f"{address} stands for {inner}, which is in {block} and never a target"
    return None


def special_block(network: Network) -> Network | None:
    """A block with which this range overlaps, of addresses that no range is for; None for most ranges.

    They are never targets, or stand for IPv4 ones somewhere on their way, and so for those of other VPCs too.
    """
    blocks: list[Network] = list(_NEVER_TARGETS[network.version])
    if network.version == 6:
        blocks += [block for block, _ in _EMBEDDING]
    return next((block for block in blocks if block.overlaps(network)), None)


def embedded_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translator or tunnel on the way may make of an IPv6 one; None for most."""
    if address.version == 4:
        return None
    for network, shift in _EMBEDDING:
        if address in network:
            return ipaddress.IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    return None
