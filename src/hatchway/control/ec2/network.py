"""VPCs and subnets as EC2 describes them. Hatchway makes neither: the fleet file says which there are."""

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import SUBNET, VPC
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import Subnet, Vpc
from hatchway.store import tables

_RESERVED_ADDRESSES: Final = 5
"""Of each IPv4 range, which nobody gets (AWS: "Subnet CIDR blocks")."""

VPCS: Final[Listing[Vpc]] = Listing(
    action="DescribeVpcs",
    ids="VpcIds",
    kind=VPC,
    rows=lambda tx: tx.vpcs,
    id_column=tables.vpcs.c.id,
    fields=lambda call: {
        "cidr": lambda vpc: _ranges(vpc.cidrs, 4)[:1],
        "cidr-block-association.cidr-block": lambda vpc: _ranges(vpc.cidrs, 4),
        "ipv6-cidr-block-association.ipv6-cidr-block": lambda vpc: _ranges(vpc.cidrs, 6),
        "is-default": lambda _: ["false"],
        "owner-id": lambda _: [call.arns.account],
        "state": lambda _: ["available"],
        "vpc-id": lambda vpc: [vpc.id],
    },
)

SUBNETS: Final[Listing[Subnet]] = Listing(
    action="DescribeSubnets",
    ids="SubnetIds",
    kind=SUBNET,
    rows=lambda tx: tx.subnets,
    id_column=tables.subnets.c.id,
    fields=lambda call: {
        "availability-zone": lambda subnet: [subnet.availability_zone],
        "availability-zone-id": lambda subnet: [zone_id(subnet.availability_zone)],
        "cidr-block": lambda subnet: _ranges(subnet.cidrs, 4)[:1],
        "default-for-az": lambda _: ["false"],
        "ipv6-cidr-block-association.ipv6-cidr-block": lambda subnet: _ranges(subnet.cidrs, 6),
        "ipv6-native": lambda subnet: ["false" if _ranges(subnet.cidrs, 4) else "true"],
        "owner-id": lambda _: [call.arns.account],
        "state": lambda _: ["available"],
        "subnet-arn": lambda subnet: [call.arns.subnet(subnet.id)],
        "subnet-id": lambda subnet: [subnet.id],
        "vpc-id": lambda subnet: [subnet.vpc_id],
    },
)


@operation("ec2", "DescribeVpcs", reads_only=True)
def describe_vpcs(call: Call) -> Result:
    page = describe(call, VPCS)
    return {"Vpcs": [_vpc_result(call, vpc) for vpc in page.nouns], "NextToken": page.next_token}


@operation("ec2", "DescribeSubnets", reads_only=True)
def describe_subnets(call: Call) -> Result:
    page = describe(call, SUBNETS)
    return {"Subnets": [_subnet_result(call, subnet) for subnet in page.nouns], "NextToken": page.next_token}


def _vpc_result(call: Call, vpc: Vpc) -> dict[str, Any]:
    ranges = _ranges(vpc.cidrs, 4)
    return {
        "VpcId": vpc.id,
        "OwnerId": call.arns.account,
        "State": "available",
        "CidrBlock": ranges[0] if ranges else None,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": _association("vpc-cidr-assoc", vpc.id, index),
                "CidrBlock": cidr,
                "CidrBlockState": {"State": "associated"},
            }
            for index, cidr in enumerate(ranges)
        ],
        "Ipv6CidrBlockAssociationSet": _ipv6_associations("vpc-cidr-assoc", vpc.id, vpc.cidrs),
        "InstanceTenancy": "default",
        "IsDefault": False,
        "Tags": tag_results(vpc.tags),
    }


def _subnet_result(call: Call, subnet: Subnet) -> dict[str, Any]:
    ranges = _ranges(subnet.cidrs, 4)
    return {
        "SubnetId": subnet.id,
        "SubnetArn": call.arns.subnet(subnet.id),
        "OwnerId": call.arns.account,
        "State": "available",
        "VpcId": subnet.vpc_id,
        "CidrBlock": ranges[0] if ranges else None,
        "Ipv6CidrBlockAssociationSet": _ipv6_associations("subnet-cidr-assoc", subnet.id, subnet.cidrs),
        "Ipv6Native": not ranges,
        "AvailableIpAddressCount": _available_addresses(call, subnet, ranges),
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": zone_id(subnet.availability_zone),
        "AssignIpv6AddressOnCreation": False,
        "DefaultForAz": False,
        "MapPublicIpOnLaunch": False,
        "Tags": tag_results(subnet.tags),
    }


def _available_addresses(call: Call, subnet: Subnet, ranges: Sequence[str]) -> int:
    size = sum(max(0, ipaddress.ip_network(cidr).num_addresses - _RESERVED_ADDRESSES) for cidr in ranges)
    instances = call.tx.instances.count(tables.instances.c.private_ip.is_not(None), subnet_id=subnet.id)
    interfaces = call.tx.network_interfaces.count(
        tables.network_interfaces.c.private_ip.is_not(None), subnet_id=subnet.id
    )
    return max(0, size - instances - interfaces)


def _ranges(cidrs: Sequence[str], version: int) -> list[str]:
    return [cidr for cidr in cidrs if ipaddress.ip_network(cidr).version == version]


def _ipv6_associations(prefix: str, resource_id: str, cidrs: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "AssociationId": _association(prefix, resource_id, index),
            "Ipv6CidrBlock": cidr,
            "Ipv6CidrBlockState": {"State": "associated"},
        }
        for index, cidr in enumerate(cidrs)
        if ipaddress.ip_network(cidr).version == 6
    ]


def _association(prefix: str, resource_id: str, index: int) -> str:
    """Ranges are no resources here; the id tells those of one resource apart."""
    return f"{prefix}-{resource_id.partition('-')[2]}-{index}"
