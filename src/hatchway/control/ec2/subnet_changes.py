"""Subnets made, changed and deleted (AWS: "Subnets for your VPC")."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hatchway.control.ec2.availability_zones import zones_of
from hatchway.control.ec2.cidrs import overlapping, subnet_range
from hatchway.control.ec2.network import (
    OF_SUBNET,
    FreeAddresses,
    id_of_association,
    ipv6_association,
    ranges,
    subnet_result,
)
from hatchway.control.ec2.resources import SUBNETS, VPCS
from hatchway.control.ec2.tags import read_tags
from hatchway.control.ec2.vpc_changes import attribute_keys, one_attribute
from hatchway.control.ec2.zones import zone_id
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.addresses import Network
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import SUBNET_ATTRIBUTES, Subnet, Vpc
from hatchway.protocol import ServiceError
from hatchway.store.tables import instances, network_interfaces, subnets

_POOLS: Final = {"Ipv4IpamPoolId": (), "Ipv4NetmaskLength": (), "Ipv6IpamPoolId": (), "Ipv6NetmaskLength": ()}


@operation("ec2", "CreateSubnet", reads_only=False, unsupported={**_POOLS, "OutpostArn": ()})
def create_subnet(call: Call) -> Result:
    """Makes a subnet in a VPC and one of the region's zones."""
    parameters = call.parameters
    vpc_id = parameters["VpcId"]
    tags = read_tags(parameters.get("TagSpecifications") or (), SUBNETS.type)
    vpc = VPCS.find(call, vpc_id)
    subnet_id = new_id(Kind.SUBNET, call.random_bytes(16))
    zones = zones_of(call)
    zone = _zone(call, zones)
    draft = Subnet(
        id=subnet_id,
        vpc_id=vpc_id,
        name=subnet_id,
        cidrs=(),
        # Whoever asks for one that there is not learns so, and which there are, if he may make subnets.
        availability_zone=zone or zones[0],
        tags=tags,
    )

    call.authorize(
        *SUBNETS.creation_checks(call, "CreateSubnet", draft), VPCS.check(call, "CreateSubnet", vpc_id, vpc)
    )

    vpc = VPCS.required(vpc, vpc_id)
    if zone is None:
        raise _no_such_zone(call, zones)
    networks = _ranges_asked(call, vpc)
    for network in networks:
        _check_free(call, vpc, network)
    most = call.tx.account().quotas.subnets_per_vpc
    if call.tx.subnets.count(vpc_id=vpc_id) >= most:
        raise ServiceError("SubnetLimitExceeded", f"The VPC has as many subnets as it may have, {most}.")
    subnet = replace(draft, cidrs=tuple(map(str, networks)))
    call.tx.subnets.put(subnet)
    return {"Subnet": subnet_result(call, subnet, FreeAddresses(call, [subnet]))}


@operation("ec2", "DeleteSubnet", reads_only=False)
def delete_subnet(call: Call) -> Result:
    """Deletes a subnet that nothing is in."""
    subnet_id = call.parameters["SubnetId"]
    subnet = SUBNETS.find(call, subnet_id)

    call.authorize(SUBNETS.check(call, "DeleteSubnet", subnet_id, subnet))

    SUBNETS.required(subnet, subnet_id)
    if call.tx.instances.count(subnet_id=subnet_id) or call.tx.network_interfaces.count(subnet_id=subnet_id):
        raise ServiceError(
            "DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted."
        )
    call.tx.subnets.delete(subnet_id)
    return {}


@operation(
    "ec2",
    "ModifySubnetAttribute",
    reads_only=False,
    unsupported={
        "CustomerOwnedIpv4Pool": (),
        "DisableLniAtDeviceIndex": (),
        "EnableLniAtDeviceIndex": (),
        "MapCustomerOwnedIpOnLaunch": ({"Value": False},),
        "PrivateDnsHostnameTypeOnLaunch": ("ip-name",),
    },
)
def modify_subnet_attribute(call: Call) -> Result:
    """Sets an attribute, which is kept and told: nothing here depends on any."""
    subnet_id = call.parameters["SubnetId"]
    subnet = SUBNETS.find(call, subnet_id)
    if call.parameters.get("PrivateDnsHostnameTypeOnLaunch"):
        name, value = "PrivateDnsHostnameTypeOnLaunch", False
        keys = {"ec2:Attribute": name, f"ec2:Attribute/{name}": "ip-name"}
    else:
        name, value = one_attribute(call, SUBNET_ATTRIBUTES)
        keys = attribute_keys(name, value)

    call.authorize(SUBNETS.check(call, "ModifySubnetAttribute", subnet_id, subnet, context=keys))

    subnet = SUBNETS.required(subnet, subnet_id)
    if name in SUBNET_ATTRIBUTES:
        call.tx.subnets.put(replace(subnet, attributes={**subnet.attributes, name: value}))
    return {}


@operation(
    "ec2",
    "AssociateSubnetCidrBlock",
    reads_only=False,
    unsupported={"Ipv6IpamPoolId": (), "Ipv6NetmaskLength": ()},
)
def associate_subnet_cidr_block(call: Call) -> Result:
    """Gives a subnet a range of IPv6."""
    subnet_id, text = call.parameters["SubnetId"], call.parameters.get("Ipv6CidrBlock")
    if not text:
        raise ServiceError("MissingParameter", "The request must contain the parameter ipv6CidrBlock")
    subnet = SUBNETS.find(call, subnet_id)

    call.authorize(SUBNETS.check(call, "AssociateSubnetCidrBlock", subnet_id, subnet))

    subnet = SUBNETS.required(subnet, subnet_id)
    vpc = VPCS.required(call.tx.vpcs.get(subnet.vpc_id), subnet.vpc_id)
    if ranges(subnet.cidrs, 6):
        raise ServiceError("InvalidSubnet.Conflict", f"The subnet '{subnet_id}' has a range of IPv6 already.")
    network = subnet_range(text, "ipv6CidrBlock", 6, vpc.cidrs)
    _check_free(call, vpc, network)
    changed = replace(subnet, cidrs=(*subnet.cidrs, str(network)))
    call.tx.subnets.put(changed)
    return {
        "SubnetId": subnet_id,
        "Ipv6CidrBlockAssociation": ipv6_association(changed, OF_SUBNET, str(network)),
    }


@operation("ec2", "DisassociateSubnetCidrBlock", reads_only=False)
def disassociate_subnet_cidr_block(call: Call) -> Result:
    """Takes from a subnet its range of IPv6, where nothing has an address of it."""
    association_id = call.parameters["AssociationId"]
    found = [
        (subnet_id, cidr)
        for subnet_id, cidrs in call.tx.subnets.values(subnets.c.id, subnets.c.cidrs)
        for cidr in ranges(cidrs, 6)
        if association_id == id_of_association(OF_SUBNET, subnet_id, cidr)
    ]
    subnet_id, cidr = found[0] if found else ("*", "")
    subnet = call.tx.subnets.get(subnet_id) if found else None

    call.authorize(SUBNETS.check(call, "DisassociateSubnetCidrBlock", subnet_id, subnet))

    if subnet is None:
        raise ServiceError(
            "InvalidSubnetCidrBlockAssociationID.NotFound",
            f"The subnet CIDR block association ID '{association_id[:64]}' does not exist",
        )
    if call.tx.instances.count(instances.c.ipv6.is_not(None), subnet_id=subnet.id) or (
        call.tx.network_interfaces.count(network_interfaces.c.ipv6.is_not(None), subnet_id=subnet.id)
    ):
        raise ServiceError("DependencyViolation", f"Addresses of the CIDR '{cidr}' are in use.")
    if not ranges(subnet.cidrs, 4):
        raise ServiceError("OperationNotPermitted", f"'{cidr}' is the only range of the subnet.")
    call.tx.subnets.put(replace(subnet, cidrs=tuple(one for one in subnet.cidrs if one != cidr)))
    ended = ipv6_association(subnet, OF_SUBNET, cidr, "disassociated")
    return {"SubnetId": subnet.id, "Ipv6CidrBlockAssociation": ended}


def _zone(call: Call, zones: Sequence[str]) -> str | None:
    """The zone that a creation asks for, or the first; None where there is none of that name or id."""
    name, zone_with_id = call.parameters.get("AvailabilityZone"), call.parameters.get("AvailabilityZoneId")
    for zone in zones:
        if name in (None, "", zone) and zone_with_id in (None, "", zone_id(zone)):
            return zone
    return None


def _no_such_zone(call: Call, zones: Sequence[str]) -> ServiceError:
    name, zone_with_id = call.parameters.get("AvailabilityZone"), call.parameters.get("AvailabilityZoneId")
    asked, parameter = (name, "availabilityZone") if name else (zone_with_id, "availabilityZoneId")
    return ServiceError(
        "InvalidParameterValue",
        f"Value ({str(asked)[:64]}) for parameter {parameter} is invalid. Subnets can currently only be"
        f" created in the following availability zones: {', '.join(zones)}.",
    )


def _ranges_asked(call: Call, vpc: Vpc) -> list[Network]:
    parameters = call.parameters
    four, six, native = (parameters.get(name) for name in ("CidrBlock", "Ipv6CidrBlock", "Ipv6Native"))
    if native and four:
        raise ServiceError("InvalidParameterCombination", "A subnet of IPv6 alone has no cidrBlock.")
    if not four and not (native and six):
        raise ServiceError(
            "MissingParameter",
            f"The request must contain the parameter {'ipv6CidrBlock' if native else 'cidrBlock'}",
        )
    asked = ((four, "cidrBlock", 4), (six, "ipv6CidrBlock", 6))
    return [subnet_range(text, name, version, vpc.cidrs) for text, name, version in asked if text]


def _check_free(call: Call, vpc: Vpc, network: Network) -> None:
    """
    Raises:
        ServiceError: another subnet has some of these addresses.
    """
    others = call.tx.subnets.values(subnets.c.cidrs, where=[subnets.c.vpc_id == vpc.id])
    if overlapping(network, (cidr for (cidrs,) in others for cidr in cidrs)):
        raise ServiceError("InvalidSubnet.Conflict", f"The CIDR '{network}' conflicts with another subnet")
