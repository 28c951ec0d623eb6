"""The network interfaces that endpoints make, as EC2 describes them."""

from typing import Any, Final

from hatchway.control.ec2.listing import Listing, describe, tag_results
from hatchway.control.ec2.resource_ids import NETWORK_INTERFACE
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import SERVICE_LINKED_SERVICE
from hatchway.domain.network import NetworkInterface
from hatchway.store import tables

_TYPE: Final = "interface"
_STATUS: Final = "in-use"

NETWORK_INTERFACES: Final[Listing[NetworkInterface]] = Listing(
    action="DescribeNetworkInterfaces",
    ids="NetworkInterfaceIds",
    kind=NETWORK_INTERFACE,
    rows=lambda tx: tx.network_interfaces,
    id_column=tables.network_interfaces.c.id,
    fields=lambda call: {
        "addresses.private-ip-address": lambda interface: _present(interface.private_ip),
        "availability-zone": lambda interface: _present(_zone(call, interface)),
        "description": lambda interface: [interface.description],
        "group-id": lambda interface: interface.security_group_ids,
        "group-name": lambda interface: [group["GroupName"] for group in _groups(call, interface)],
        "interface-type": lambda _: [_TYPE],
        "ipv6-addresses.ipv6-address": lambda interface: _present(interface.ipv6),
        "network-interface-id": lambda interface: [interface.id],
        "owner-id": lambda _: [call.arns.account],
        "private-ip-address": lambda interface: _present(interface.private_ip),
        "requester-id": lambda _: [SERVICE_LINKED_SERVICE],
        "requester-managed": lambda _: ["true"],
        "status": lambda _: [_STATUS],
        "subnet-id": lambda interface: [interface.subnet_id],
        "vpc-id": lambda interface: [interface.vpc_id],
    },
    ids_exclude_pages=True,
)


@operation("ec2", "DescribeNetworkInterfaces", reads_only=True)
def describe_network_interfaces(call: Call) -> Result:
    """Endpoints' interfaces. What instances have is theirs to know: here an instance has addresses."""
    page = describe(call, NETWORK_INTERFACES)
    return {
        "NetworkInterfaces": [_interface_result(call, interface) for interface in page.nouns],
        "NextToken": page.next_token,
    }


def _interface_result(call: Call, interface: NetworkInterface) -> dict[str, Any]:
    zone = _zone(call, interface)
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
        "Groups": _groups(call, interface),
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


def _groups(call: Call, interface: NetworkInterface) -> list[dict[str, str]]:
    groups = (call.tx.security_groups.get(group_id) for group_id in interface.security_group_ids)
    return [{"GroupId": group.id, "GroupName": group.name} for group in groups if group is not None]


def _zone(call: Call, interface: NetworkInterface) -> str | None:
    subnet = call.tx.subnets.get(interface.subnet_id)
    return None if subnet is None else subnet.availability_zone


def _present(value: str | None) -> list[str]:
    return [] if value is None else [value]
