"""VPCs and subnets as EC2 describes them."""

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import SUBNET, VPC
from hatchway.control.ec2.sql_filters import of_column, of_constant, of_id, translated
from hatchway.control.ec2.zones import zone_id, zone_ids
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.network import SUBNET_ATTRIBUTES, Subnet, Vpc
from hatchway.store import tables

_RESERVED_ADDRESSES: Final = 5
"""Of each IPv4 range, which nobody gets (AWS: "Subnet CIDR blocks")."""
_ASSOCIATED: Final = "associated"
_HOSTNAME_TYPE: Final = "ip-name"
OF_VPC: Final = "vpc-cidr-assoc"
OF_SUBNET: Final = "subnet-cidr-assoc"


def ranges(cidrs: Sequence[str], version: int) -> list[str]:
    return [cidr for cidr in cidrs if (":" in cidr) == (version == 6)]


def id_of_association(prefix: str, place_id: str, cidr: str) -> str:
    """The id of the tie between a VPC or subnet and one of its ranges."""
    return f"{prefix}-{hashlib.sha256(f'{place_id} {cidr}'.encode()).hexdigest()[:17]}"


def vpc_association(vpc: Vpc, cidr: str, state: str) -> dict[str, Any]:
    """The tie between a VPC and one of its ranges, as the calls that make and end it tell of it."""
    if ":" in cidr:
        return {"Ipv6CidrBlockAssociation": ipv6_association(vpc, OF_VPC, cidr, state)}
    return {"CidrBlockAssociation": _ipv4_association(vpc, cidr, state)}


def _ipv4_association(vpc: Vpc, cidr: str, state: str = _ASSOCIATED) -> dict[str, Any]:
    return {
        "AssociationId": id_of_association(OF_VPC, vpc.id, cidr),
        "CidrBlock": cidr,
        "CidrBlockState": {"State": state},
    }


def ipv6_association(place: Vpc | Subnet, prefix: str, cidr: str, state: str = _ASSOCIATED) -> dict[str, Any]:
    """The tie between a VPC or subnet and a range of IPv6."""
    return {
        "AssociationId": id_of_association(prefix, place.id, cidr),
        "Ipv6CidrBlock": cidr,
        "Ipv6CidrBlockState": {"State": state},
    }


def _association_fields(name: str, prefix: str, version: int) -> dict[str, Callable[[Any], Iterable[str]]]:
    """The filters on ranges of one IP version; `name` is that of the ranges themselves."""
    group = name.partition(".")[0]
    return {
        name: lambda place: ranges(place.cidrs, version),
        f"{group}.association-id": lambda place: [
            id_of_association(prefix, place.id, cidr) for cidr in ranges(place.cidrs, version)
        ],
        f"{group}.state": lambda place: [_ASSOCIATED for _ in ranges(place.cidrs, version)],
    }


class FreeAddresses:
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
        networks = [ipaddress.ip_network(cidr) for cidr in ranges(subnet.cidrs, 4)]
        size = sum(max(0, network.num_addresses - _RESERVED_ADDRESSES) for network in networks)
        return max(0, size - self._taken[subnet.id])


def _setting(subnet: Subnet, name: str) -> str:
    return str(subnet.attributes.get(name, SUBNET_ATTRIBUTES[name])).lower()


def _subnet_fields(call: Call) -> Mapping[str, Field[Subnet]]:
    columns = tables.subnets.c
    by_zone = of_column(columns.availability_zone)
    zone, by_id = Stored(by_zone), Stored(translated(by_zone, lambda: zone_ids(call)))
    is_default = Stored(of_constant("false"))
    on_launch = "private-dns-name-options-on-launch"

    def first_range(subnet: Subnet) -> list[str]:
        return ranges(subnet.cidrs, 4)[:1]

    return {
        **dict.fromkeys(("availability-zone", "availabilityZone"), zone),
        **dict.fromkeys(("availability-zone-id", "availabilityZoneId"), by_id),
        "available-ip-address-count": lambda subnet: [str(FreeAddresses(call, [subnet]).of(subnet))],
        **dict.fromkeys(("cidr", "cidr-block", "cidrBlock"), first_range),
        **dict.fromkeys(("default-for-az", "defaultForAz"), is_default),
        "enable-dns64": lambda subnet: [_setting(subnet, "EnableDns64")],
        **_association_fields("ipv6-cidr-block-association.ipv6-cidr-block", OF_SUBNET, 6),
        "ipv6-native": lambda subnet: ["false" if ranges(subnet.cidrs, 4) else "true"],
        "map-public-ip-on-launch": lambda subnet: [_setting(subnet, "MapPublicIpOnLaunch")],
        "owner-id": Stored(of_constant(call.arns.account)),
        f"{on_launch}.enable-resource-name-dns-a-record": lambda subnet: [
            _setting(subnet, "EnableResourceNameDnsARecordOnLaunch")
        ],
        f"{on_launch}.enable-resource-name-dns-aaaa-record": lambda subnet: [
            _setting(subnet, "EnableResourceNameDnsAAAARecordOnLaunch")
        ],
        f"{on_launch}.hostname-type": Stored(of_constant(_HOSTNAME_TYPE)),
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
        "cidr": lambda vpc: ranges(vpc.cidrs, 4)[:1],
        **_association_fields("cidr-block-association.cidr-block", OF_VPC, 4),
        **_association_fields("ipv6-cidr-block-association.ipv6-cidr-block", OF_VPC, 6),
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
    return {"Vpcs": [vpc_result(call, vpc) for vpc in page.nouns], "NextToken": page.next_token}


@operation("ec2", "DescribeSubnets", reads_only=True)
def describe_subnets(call: Call) -> Result:
    page = describe(call, SUBNETS)
    free = FreeAddresses(call, page.nouns)
    return {
        "Subnets": [subnet_result(call, subnet, free) for subnet in page.nouns],
        "NextToken": page.next_token,
    }


def vpc_result(call: Call, vpc: Vpc) -> dict[str, Any]:
    own = ranges(vpc.cidrs, 4)
    return {
        "VpcId": vpc.id,
        "OwnerId": call.arns.account,
        "State": "available",
        "CidrBlock": own[0] if own else None,
        "CidrBlockAssociationSet": [_ipv4_association(vpc, cidr) for cidr in own],
        "Ipv6CidrBlockAssociationSet": _ipv6_associations(OF_VPC, vpc),
        "InstanceTenancy": "default",
        "IsDefault": False,
        "Tags": tag_results(vpc.tags),
    }


def subnet_result(call: Call, subnet: Subnet, free: FreeAddresses) -> dict[str, Any]:
    own, settings = ranges(subnet.cidrs, 4), {**SUBNET_ATTRIBUTES, **subnet.attributes}
    return {
        "SubnetId": subnet.id,
        "SubnetArn": call.arns.subnet(subnet.id),
        "OwnerId": call.arns.account,
        "State": "available",
        "VpcId": subnet.vpc_id,
        "CidrBlock": own[0] if own else None,
        "Ipv6CidrBlockAssociationSet": _ipv6_associations(OF_SUBNET, subnet),
        "Ipv6Native": not own,
        "AvailableIpAddressCount": free.of(subnet),
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": zone_id(subnet.availability_zone),
        "DefaultForAz": False,
        **{
            name: settings[name]
            for name in ("AssignIpv6AddressOnCreation", "EnableDns64", "MapPublicIpOnLaunch")
        },
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": _HOSTNAME_TYPE,
            "EnableResourceNameDnsARecord": settings["EnableResourceNameDnsARecordOnLaunch"],
            "EnableResourceNameDnsAAAARecord": settings["EnableResourceNameDnsAAAARecordOnLaunch"],
        },
        "Tags": tag_results(subnet.tags),
    }


def _ipv6_associations(prefix: str, place: Vpc | Subnet) -> list[dict[str, Any]]:
    return [ipv6_association(place, prefix, cidr) for cidr in ranges(place.cidrs, 6)]
