"""VPCs and subnets as EC2 describes them. Hatchway makes neither: the fleet file says which there are."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.control.ec2.conditions import of_column, of_constant, of_id, translated
from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import SUBNET, VPC
from hatchway.control.ec2.zones import zone_id, zone_ids
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Subnet, Vpc
from hatchway.store import tables

_RESERVED_ADDRESSES: Final = 5
"""Of each IPv4 range, which nobody gets (AWS: "Subnet CIDR blocks")."""
_ASSOCIATED: Final = "associated"
_OF_VPC: Final = "vpc-cidr-assoc"
_OF_SUBNET: Final = "subnet-cidr-assoc"


def _ranges(cidrs: Sequence[str], version: int) -> list[str]:
    return [cidr for cidr in cidrs if (":" in cidr) == (version == 6)]


def _associations(prefix: str, place: Vpc | Subnet, version: int) -> list[tuple[str, str]]:
    """The ranges of one IP version, each with an id.

    Ranges are no resources here; the id tells those of one resource apart.
    """
    base = f"{prefix}-{place.id.partition('-')[2]}"
    ours = set(_ranges(place.cidrs, version))
    return [(f"{base}-{number}", cidr) for number, cidr in enumerate(place.cidrs) if cidr in ours]


def _association_fields(name: str, prefix: str, version: int) -> dict[str, Callable[[Any], Iterable[str]]]:
    """The filters on ranges of one IP version; `name` is that of the ranges themselves."""
    group = name.partition(".")[0]
    return {
        name: lambda place: _ranges(place.cidrs, version),
        f"{group}.association-id": lambda place: [id_ for id_, _ in _associations(prefix, place, version)],
        f"{group}.state": lambda place: [_ASSOCIATED for _ in _ranges(place.cidrs, version)],
    }


class _FreeAddresses:
    """How many addresses of each of some subnets nobody has."""

    def __init__(self, call: Call, subnets: Sequence[Subnet]) -> None:
        ids = [subnet.id for subnet in subnets]
        self._taken: Counter[str] = Counter()
        for rows, columns in (
            (call.tx.instances, tables.instances.c),
            (call.tx.network_interfaces, tables.network_interfaces.c),
        ):
            in_them = columns.subnet_id.in_(ids), columns.private_ip.is_not(None)
            self._taken.update(rows.count_by(columns.subnet_id, *in_them))

    def of(self, subnet: Subnet) -> int:
        ranges = [ipaddress.ip_network(cidr) for cidr in _ranges(subnet.cidrs, 4)]
        size = sum(max(0, network.num_addresses - _RESERVED_ADDRESSES) for network in ranges)
        return max(0, size - self._taken[subnet.id])


def _subnet_fields(call: Call) -> Mapping[str, Field[Subnet]]:
    columns = tables.subnets.c
    zone = of_column(columns.availability_zone)
    return {
        "availability-zone": Stored(zone),
        "availability-zone-id": Stored(translated(zone, lambda: zone_ids(call))),
        "available-ip-address-count": lambda subnet: [str(_FreeAddresses(call, [subnet]).of(subnet))],
        "cidr-block": lambda subnet: _ranges(subnet.cidrs, 4)[:1],
        "default-for-az": Stored(of_constant("false")),
        **_association_fields("ipv6-cidr-block-association.ipv6-cidr-block", _OF_SUBNET, 6),
        "ipv6-native": lambda subnet: ["false" if _ranges(subnet.cidrs, 4) else "true"],
        "map-public-ip-on-launch": Stored(of_constant("false")),
        "owner-id": Stored(of_constant(call.arns.account)),
        "state": Stored(of_constant("available")),
        "subnet-arn": Stored(of_id(columns.id, call.arns.subnet(""))),
        "subnet-id": columns.id,
        "vpc-id": columns.vpc_id,
    }


VPCS: Final[Listing[Vpc]] = Listing(
    action="DescribeVpcs",
    ids="VpcIds",
    kind=VPC,
    rows=lambda tx: tx.vpcs,
    id_column=tables.vpcs.c.id,
    fields=lambda call: {
        "cidr": lambda vpc: _ranges(vpc.cidrs, 4)[:1],
        **_association_fields("cidr-block-association.cidr-block", _OF_VPC, 4),
        **_association_fields("ipv6-cidr-block-association.ipv6-cidr-block", _OF_VPC, 6),
        "is-default": Stored(of_constant("false")),
        "owner-id": Stored(of_constant(call.arns.account)),
        "state": Stored(of_constant("available")),
        "vpc-id": tables.vpcs.c.id,
    },
)

SUBNETS: Final[Listing[Subnet]] = Listing(
    action="DescribeSubnets",
    ids="SubnetIds",
    kind=SUBNET,
    rows=lambda tx: tx.subnets,
    id_column=tables.subnets.c.id,
    fields=_subnet_fields,
)


@operation("ec2", "DescribeVpcs", reads_only=True)
def describe_vpcs(call: Call) -> Result:
    page = describe(call, VPCS)
    return {"Vpcs": [_vpc_result(call, vpc) for vpc in page.nouns], "NextToken": page.next_token}


@operation("ec2", "DescribeSubnets", reads_only=True)
def describe_subnets(call: Call) -> Result:
    page = describe(call, SUBNETS)
    free = _FreeAddresses(call, page.nouns)
    return {
        "Subnets": [_subnet_result(call, subnet, free) for subnet in page.nouns],
        "NextToken": page.next_token,
    }


def _vpc_result(call: Call, vpc: Vpc) -> dict[str, Any]:
    ranges = _ranges(vpc.cidrs, 4)
    return {
        "VpcId": vpc.id,
        "OwnerId": call.arns.account,
        "State": "available",
        "CidrBlock": ranges[0] if ranges else None,
        "CidrBlockAssociationSet": [
            {"AssociationId": id_, "CidrBlock": cidr, "CidrBlockState": {"State": _ASSOCIATED}}
            for id_, cidr in _associations(_OF_VPC, vpc, 4)
        ],
        "Ipv6CidrBlockAssociationSet": _ipv6_associations(_OF_VPC, vpc),
        "InstanceTenancy": "default",
        "IsDefault": False,
        "Tags": tag_results(vpc.tags),
    }


def _subnet_result(call: Call, subnet: Subnet, free: _FreeAddresses) -> dict[str, Any]:
    ranges = _ranges(subnet.cidrs, 4)
    return {
        "SubnetId": subnet.id,
        "SubnetArn": call.arns.subnet(subnet.id),
        "OwnerId": call.arns.account,
        "State": "available",
        "VpcId": subnet.vpc_id,
        "CidrBlock": ranges[0] if ranges else None,
        "Ipv6CidrBlockAssociationSet": _ipv6_associations(_OF_SUBNET, subnet),
        "Ipv6Native": not ranges,
        "AvailableIpAddressCount": free.of(subnet),
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": zone_id(subnet.availability_zone),
        "AssignIpv6AddressOnCreation": False,
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
        "Tags": tag_results(subnet.tags),
    }


def _ipv6_associations(prefix: str, place: Vpc | Subnet) -> list[dict[str, Any]]:
    return [
        {"AssociationId": id_, "Ipv6CidrBlock": cidr, "Ipv6CidrBlockState": {"State": _ASSOCIATED}}
        for id_, cidr in _associations(prefix, place, 6)
    ]
