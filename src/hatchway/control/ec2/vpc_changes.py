"""VPCs made, changed and deleted (AWS: "Amazon VPC").

Two VPCs that one gateway serves must not share addresses, or it could not tell their hosts apart: AWS has no
such rule, as its networks are apart. A VPC whose range overlaps others' is written in the fleet file, as a
separate network with gateways of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Final

from hatchway.control.ec2.cidrs import overlapping, vpc_range
from hatchway.control.ec2.network import OF_VPC, id_of_association, ranges, vpc_association, vpc_result
from hatchway.control.ec2.resources import VPCS
from hatchway.control.ec2.tags import read_tags
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.addresses import Network
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import (
    ANY_PORT,
    DEFAULT_GROUP_NAME,
    VPC_ATTRIBUTES,
    Attributes,
    Rule,
    Vpc,
    default_group,
)
from hatchway.protocol import ServiceError
from hatchway.store import tables

_MOST_RANGES: Final = 5
"""Of each IP version (AWS: "Amazon VPC quotas")."""
_POOLS: Final = {
    "AmazonProvidedIpv6CidrBlock": (False,),
    "Ipv4IpamPoolId": (),
    "Ipv4NetmaskLength": (),
    "Ipv6CidrBlockNetworkBorderGroup": (),
    "Ipv6IpamPoolId": (),
    "Ipv6NetmaskLength": (),
    "Ipv6Pool": (),
}
"""Whoever has an IPv6 range names it: Hatchway has no addresses to give."""


@operation(
    "ec2",
    "CreateVpc",
    reads_only=False,
    unsupported={**_POOLS, "InstanceTenancy": ("default",), "VpcEncryptionControl": ()},
)
def create_vpc(call: Call) -> Result:
    """Makes a VPC with its default security group."""
    parameters = call.parameters
    if not parameters.get("CidrBlock"):
        raise ServiceError("MissingParameter", "The request must contain the parameter cidrBlock")
    cidrs = _ranges_asked(parameters)
    vpc_id = new_id(Kind.VPC, call.random_bytes(16))
    tags = read_tags(parameters.get("TagSpecifications") or (), VPCS.type)
    vpc = Vpc(id=vpc_id, name=vpc_id, cidrs=tuple(map(str, cidrs)), tags=tags)

    call.authorize(*VPCS.creation_checks(call, "CreateVpc", vpc))

    most = call.tx.account().quotas.vpcs_per_account
    if call.tx.vpcs.count() >= most:
        raise ServiceError("VpcLimitExceeded", f"The maximum number of VPCs, {most}, has been reached.")
    _check_apart(call, vpc, cidrs)
    call.tx.vpcs.put(vpc)
    group = default_group(new_id(Kind.SECURITY_GROUP, call.random_bytes(16)), vpc.id)
    call.tx.security_groups.put(replace(group, egress=everything_out(vpc)))
    return {"Vpc": vpc_result(call, vpc)}


def everything_out(vpc: Vpc) -> tuple[Rule, ...]:
    """What a new group lets out: everything, over the IP versions that its VPC has."""
    whole = {4: "0.0.0.0/0", 6: "::/0"}
    return tuple(Rule("-1", *ANY_PORT, whole[version]) for version in whole if ranges(vpc.cidrs, version))


@operation("ec2", "DeleteVpc", reads_only=False)
def delete_vpc(call: Call) -> Result:
    """Deletes a VPC that nothing is in, with its default security group."""
    vpc_id = call.parameters["VpcId"]
    vpc = VPCS.find(call, vpc_id)

    call.authorize(VPCS.check(call, "DeleteVpc", vpc_id, vpc))

    VPCS.required(vpc, vpc_id)
    groups = tables.security_groups.c
    if (
        call.tx.subnets.count(vpc_id=vpc_id)
        or call.tx.security_groups.count(groups.name != DEFAULT_GROUP_NAME, vpc_id=vpc_id)
        or call.tx.instances.count(vpc_id=vpc_id)
        or call.tx.network_interfaces.count(vpc_id=vpc_id)
        or call.tx.endpoints.count(tables.endpoints.c.state != EndpointState.DELETE_COMPLETE, vpc_id=vpc_id)
    ):
        raise ServiceError(
            "DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted."
        )
    call.tx.security_groups.delete_where(vpc_id=vpc_id)
    call.tx.vpcs.delete(vpc_id)
    return {}


@operation("ec2", "ModifyVpcAttribute", reads_only=False)
def modify_vpc_attribute(call: Call) -> Result:
    """Sets an attribute, which is kept and told: nothing here depends on any."""
    vpc_id = call.parameters["VpcId"]
    setting = one_attribute(call, VPC_ATTRIBUTES)
    vpc = VPCS.find(call, vpc_id)

    call.authorize(VPCS.check(call, "ModifyVpcAttribute", vpc_id, vpc, context=attribute_keys(*setting)))

    vpc = VPCS.required(vpc, vpc_id)
    call.tx.vpcs.put(replace(vpc, attributes={**vpc.attributes, setting[0]: setting[1]}))
    return {}


def one_attribute(call: Call, known: Attributes) -> tuple[str, bool]:
    """The attribute that a call sets, of which EC2 takes one at a time.

    Raises:
        ServiceError: it sets none, or several.
    """
    settings = [
        (name, call.parameters[name].get("Value")) for name in known if call.parameters.get(name) is not None
    ]
    if not settings:
        raise ServiceError("MissingParameter", f"The request must contain one of {', '.join(known)}")
    if len(settings) > 1:
        names = ", ".join(name for name, _ in settings)
        raise ServiceError("InvalidParameterCombination", f"Only one attribute can be modified, not {names}")
    ((name, value),) = settings
    if value is None:
        raise ServiceError("MissingParameter", f"The request must contain the parameter {name}.Value")
    return name, bool(value)


def attribute_keys(name: str, value: bool) -> dict[str, str]:
    return {"ec2:Attribute": name, f"ec2:Attribute/{name}": str(value).lower()}


@operation("ec2", "DescribeVpcAttribute", reads_only=True)
def describe_vpc_attribute(call: Call) -> Result:
    """One attribute of a VPC."""
    vpc_id, asked = call.parameters["VpcId"], call.parameters["Attribute"]
    vpc = VPCS.find(call, vpc_id)

    call.authorize(VPCS.check(call, "DescribeVpcAttribute", vpc_id, vpc))

    vpc = VPCS.required(vpc, vpc_id)
    # In requests an attribute's name begins with a small letter, in answers it does not.
    name = f"{asked[0].upper()}{asked[1:]}"
    return {"VpcId": vpc_id, name: {"Value": vpc.attributes.get(name, VPC_ATTRIBUTES[name])}}


@operation("ec2", "AssociateVpcCidrBlock", reads_only=False, unsupported=_POOLS)
def associate_vpc_cidr_block(call: Call) -> Result:
    """Gives a VPC one more range."""
    vpc_id = call.parameters["VpcId"]
    asked = _ranges_asked(call.parameters)
    if len(asked) != 1:
        raise ServiceError("MissingParameter", "The request must contain one of cidrBlock, ipv6CidrBlock")
    vpc = VPCS.find(call, vpc_id)

    call.authorize(VPCS.check(call, "AssociateVpcCidrBlock", vpc_id, vpc))

    vpc = VPCS.required(vpc, vpc_id)
    (network,) = asked
    if overlapping(network, vpc.cidrs):
        raise ServiceError("CidrConflict", f"The CIDR '{network}' conflicts with another of the VPC.")
    if len(ranges(vpc.cidrs, network.version)) >= _MOST_RANGES:
        raise ServiceError(
            "VpcCidrBlockLimitExceeded", f"A VPC has at most {_MOST_RANGES} ranges of IPv{network.version}."
        )
    changed = replace(vpc, cidrs=(*vpc.cidrs, str(network)))
    _check_apart(call, changed, asked)
    call.tx.vpcs.put(changed)
    return {"VpcId": vpc_id, **vpc_association(changed, str(network), "associated")}


@operation("ec2", "DisassociateVpcCidrBlock", reads_only=False)
def disassociate_vpc_cidr_block(call: Call) -> Result:
    """Takes a range away that no subnet is in; never the first of IPv4."""
    association_id = call.parameters["AssociationId"]
    found = [
        (vpc_id, cidr)
        for vpc_id, cidrs in call.tx.vpcs.values(tables.vpcs.c.id, tables.vpcs.c.cidrs)
        for cidr in cidrs
        if association_id == id_of_association(OF_VPC, vpc_id, cidr)
    ]
    vpc_id, cidr = found[0] if found else ("*", "")
    vpc = call.tx.vpcs.get(vpc_id) if found else None

    call.authorize(VPCS.check(call, "DisassociateVpcCidrBlock", vpc_id, vpc))

    if vpc is None:
        raise ServiceError(
            "InvalidVpcCidrBlockAssociationID.NotFound",
            f"The vpc CIDR block association ID '{association_id[:64]}' does not exist",
        )
    if cidr in ranges(vpc.cidrs, 4)[:1]:
        raise ServiceError(
            "OperationNotPermitted",
            f"The vpc CIDR block with association ID {association_id} may not be disassociated. It is the"
            " primary IPv4 CIDR block of the VPC",
        )
    subnets = tables.subnets.c
    inside = (
        one
        for (cidrs,) in call.tx.subnets.values(subnets.cidrs, where=[subnets.vpc_id == vpc.id])
        for one in cidrs
    )
    if overlapping(ip_network(cidr), inside):
        raise ServiceError("DependencyViolation", f"The CIDR '{cidr}' has subnets in it.")
    changed = replace(vpc, cidrs=tuple(one for one in vpc.cidrs if one != cidr))
    call.tx.vpcs.put(changed)
    return {"VpcId": vpc.id, **vpc_association(vpc, cidr, "disassociated")}


def _ranges_asked(parameters: Mapping[str, Any]) -> list[Network]:
    asked = ((4, "CidrBlock", "cidrBlock"), (6, "Ipv6CidrBlock", "ipv6CidrBlock"))
    return [
        vpc_range(parameters[name], told, version) for version, name, told in asked if parameters.get(name)
    ]


def _check_apart(call: Call, vpc: Vpc, networks: Sequence[Network]) -> None:
    """
    Raises:
        ServiceError: a gateway that serves this VPC and another could not tell their hosts apart.
    """
    if vpc.separate_network:
        return
    vpcs = tables.vpcs.c
    others = call.tx.vpcs.values(vpcs.cidrs, where=[vpcs.separate_network.is_(False), vpcs.id != vpc.id])
    for network in networks:
        theirs = overlapping(network, (cidr for (cidrs,) in others for cidr in cidrs))
        if theirs is not None:
            raise ServiceError(
                "CidrConflict",
                f"The CIDR '{network}' overlaps that of another VPC: a gateway that serves both could not"
                " tell their hosts apart. The fleet file can say of one that it is a separate_network.",
            )
