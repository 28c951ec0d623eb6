"""The network interfaces that endpoints make, as EC2 describes them."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import case

from hatchway.control.ec2.filters import Field, Stored
from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.places import Places
from hatchway.control.ec2.resource_ids import NETWORK_INTERFACE
from hatchway.control.ec2.sql_filters import (
    of_constant,
    of_expression,
    of_group_ids,
    of_group_names,
    of_zone,
    translated,
)
from hatchway.control.ec2.zones import zone_id, zone_ids
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import SERVICE_LINKED_SERVICE
from hatchway.domain.network import NetworkInterface
from hatchway.store import tables

_TYPE: Final = "interface"
_STATUS: Final = "in-use"


def _fields(call: Call) -> Mapping[str, Field[NetworkInterface]]:
    columns = tables.network_interfaces.c
    zone = of_zone(columns.subnet_id)
    primary = case((columns.private_ip.is_not(None), "true"))
    return {
        "addresses.primary": Stored(of_expression(primary)),
        "addresses.private-ip-address": columns.private_ip,
        "availability-zone": Stored(zone),
        "availability-zone-id": Stored(translated(zone, lambda: zone_ids(call))),
        "description": Stored(of_expression(columns.description)),
        "group-id": Stored(of_group_ids(tables.network_interfaces)),
        "group-name": Stored(of_group_names(tables.network_interfaces)),
        "interface-type": Stored(of_constant(_TYPE)),
        "ipv6-addresses.ipv6-address": columns.ipv6,
        "network-interface-id": columns.id,
        "owner-id": Stored(of_constant(call.arns.account)),
        "private-ip-address": columns.private_ip,
        "requester-id": Stored(of_constant(SERVICE_LINKED_SERVICE)),
        "requester-managed": Stored(of_constant("true")),
        "source-dest-check": Stored(of_constant("true")),
        "status": Stored(of_constant(_STATUS)),
        "subnet-id": columns.subnet_id,
        "vpc-id": columns.vpc_id,
    }


NETWORK_INTERFACES: Final[Listing[NetworkInterface]] = Listing(
    action="DescribeNetworkInterfaces",
    ids="NetworkInterfaceIds",
    kind=NETWORK_INTERFACE,
    rows=lambda tx: tx.network_interfaces,
    id_column=tables.network_interfaces.c.id,
    fields=_fields,
    ids_exclude_pages=True,
)


# Nothing here is managed by a service of AWS, so there is nothing more to include.
@operation(
    "ec2",
    "DescribeNetworkInterfaces",
    reads_only=True,
    unsupported={"IncludeManagedResources": (True, False)},
)
def describe_network_interfaces(call: Call) -> Result:
    """Endpoints' interfaces. What instances have is theirs to know: here an instance has addresses."""
    page = describe(call, NETWORK_INTERFACES)
    places = Places(call, page.nouns)
    return {
        "NetworkInterfaces": [_interface_result(call, interface, places) for interface in page.nouns],
        "NextToken": page.next_token,
    }


def _interface_result(call: Call, interface: NetworkInterface, places: Places) -> dict[str, Any]:
    zone = places.zone(interface.subnet_id)
    return {
        "NetworkInterfaceId": interface.id,
        "InterfaceType": _TYPE,
        "Status": _STATUS,
        "Description": interface.description,
        "OwnerId": call.arns.account,
        "RequesterId": SERVICE_LINKED_SERVICE,
        "RequesterManaged": True,
        "SourceDestCheck": True,
        "VpcId": interface.vpc_id,
        "SubnetId": interface.subnet_id,
        "AvailabilityZone": zone,
        "AvailabilityZoneId": zone_id(zone) if zone else None,
        "Groups": places.groups(interface.security_group_ids),
        "PrivateIpAddress": interface.private_ip,
        "PrivateIpAddresses": [
            {"PrivateIpAddress": address, "Primary": True} for address in _present(interface.private_ip)
        ],
        "Ipv6Address": interface.ipv6,
        "Ipv6Addresses": [
            {"Ipv6Address": address, "IsPrimaryIpv6": True} for address in _present(interface.ipv6)
        ],
        "TagSet": tag_results(interface.tags),
    }


def _present(value: str | None) -> list[str]:
    return [] if value is None else [value]
