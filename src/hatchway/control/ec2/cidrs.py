"""Ranges of addresses in requests: of VPCs and subnets, and of the rules of security groups."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from hatchway.domain.addresses import Network, special_block
from hatchway.protocol import ServiceError

_IPV4_PREFIXES: Final = range(16, 29)
"""Of VPCs and subnets (AWS: "VPC CIDR blocks", "Subnet CIDR blocks")."""
_IPV6_OF_VPCS: Final = range(44, 61, 4)
_IPV6_OF_SUBNETS: Final = range(44, 65, 4)
_LONGEST_ECHO: Final = 64


def read_cidr(text: str, parameter: str, version: int) -> Network:
    """A range of one IP version; bits behind its prefix are dropped, as EC2 does.

    Raises:
        ServiceError: the text is none.
    """
    try:
        if "/" not in text or "%" in text:
            raise ValueError("it has no prefix length, or names a zone")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != version:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({text[:_LONGEST_ECHO]}) for parameter {parameter} is invalid. This is not a valid CIDR"
            f" block of IPv{version}.",
        )
    return network


def vpc_range(text: str, parameter: str, version: int) -> Network:
    """A range that a VPC may have.

    What is special to every machine, such as loopback, no VPC made through the API has, nor what stands for
    IPv4 addresses (NAT64): so that nobody who may make one opens the gateway's own addresses to tunnels, or
    those of another VPC beside its security groups.

    Raises:
        ServiceError: it is none.
    """
    network = read_cidr(text, parameter, version)
    allowed = _IPV4_PREFIXES if version == 4 else _IPV6_OF_VPCS
    if network.prefixlen not in allowed:
        raise ServiceError("InvalidVpc.Range", f"The CIDR '{network}' is invalid.")
    block = special_block(network)
    if block is not None:
        raise ServiceError("InvalidVpc.Range", f"The CIDR '{network}' overlaps {block}, which no VPC has.")
    return network


def subnet_range(text: str, parameter: str, version: int, within: Iterable[str]) -> Network:
    """A range that a subnet of a VPC with these ranges may have.

    Raises:
        ServiceError: it is none.
    """
    network = read_cidr(text, parameter, version)
    allowed = _IPV4_PREFIXES if version == 4 else _IPV6_OF_SUBNETS
    if network.prefixlen not in allowed or not any(_holds(outer, network) for outer in within):
        raise ServiceError("InvalidSubnet.Range", f"The CIDR '{network}' is invalid.")
    return network


def overlapping(network: Network, others: Iterable[str]) -> str | None:
    """The first of some ranges that has an address in common with a network."""
    for other in others:
        parsed = ipaddress.ip_network(other)
        if parsed.version == network.version and parsed.overlaps(network):
            return other
    return None


def _holds(outer: str, network: Network) -> bool:
    parsed = ipaddress.ip_network(outer)
    if isinstance(parsed, ipaddress.IPv4Network):
        return isinstance(network, ipaddress.IPv4Network) and network.subnet_of(parsed)
    return isinstance(network, ipaddress.IPv6Network) and network.subnet_of(parsed)
