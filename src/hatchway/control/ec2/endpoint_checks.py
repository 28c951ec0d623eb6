"""What permissions endpoints need (docs/iam.md, "What there is to allow").

What is made or changed has tags of its own, and its subnet has; a policy may mean either. So whatever is
asked of the subnet or the endpoint is asked under each reading of the two, and all must allow: no one passes
a guard on a subnet's tags by the tags that he asks for. A security group is judged by its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hatchway.access.authorization import Check, Context, Guard
from hatchway.access.context import completed_tags, request_tag_keys, resource_tag_keys, tag_readings
from hatchway.control.ec2.zones import zone_id
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE, Arns
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import SecurityGroup, Subnet, Tags

CREATE: Final = "CreateInstanceConnectEndpoint"
MODIFY: Final = "ModifyInstanceConnectEndpoint"
DELETE: Final = "DeleteInstanceConnectEndpoint"

GROUPS_ATTRIBUTE: Final = "SecurityGroupIds"

Groups = Mapping[str, SecurityGroup | None]
"""Security groups by the ids that a caller gave; None where there is none with that id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A creation as far as permissions go. `subnet` None: there is no subnet with that id."""

    endpoint_id: str
    subnet_id: str
    subnet: Subnet | None
    groups: Groups
    tags: Tags
    makes_role: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Modification:
    """What a modification sets: new groups, and the values of other attributes by their parameters' names."""

    groups: Groups = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)


def creation_checks(arns: Arns, creation: Creation) -> tuple[Check | Guard, ...]:
    """The checks of CreateInstanceConnectEndpoint; a subnet's ARN stands in for the endpoint's."""
    return tuple(_creation_checks(arns, creation))


def _creation_checks(arns: Arns, creation: Creation) -> Iterator[Check | Guard]:
    subnet = creation.subnet
    subnet_arn, new_endpoint = arns.subnet(creation.subnet_id), arns.endpoint("*")
    role = arns.service_linked_role(SERVICE_LINKED_SERVICE, SERVICE_LINKED_ROLE_NAME)
    asked: Context = {"ec2:SubnetID": creation.subnet_id, **request_tag_keys(creation.tags)}
    if subnet is not None:
        zone = subnet.availability_zone
        asked = {**asked, "ec2:AvailabilityZone": zone, "ec2:AvailabilityZoneId": zone_id(zone)}
    place: Context = {} if subnet is None else {"ec2:Vpc": arns.vpc(subnet.vpc_id)}
    tags = tag_readings(creation.tags, subnet.tags if subnet else {})
    readings = [{**asked, **place, **resource_tag_keys(reading)} for reading in tags]
    for keys in readings:
        # A Deny may mean a group by its id, wherever it looks, and a check has one context.
        for group_keys in [_group_id_keys(group_id) for group_id in creation.groups] or [{}]:
            yield Check(f"ec2:{CREATE}", (subnet_arn,), (new_endpoint,), {**keys, **group_keys})
    guards = [_guard(arns, f"ec2:{CREATE}", named, (asked, tags)) for named in creation.groups.items()]
    yield from guards
    for keys in readings:
        yield Check("ec2:CreateNetworkInterface", (subnet_arn,), (arns.network_interface("*"),), keys)
    for guard in guards:
        yield guard._replace(action="ec2:CreateNetworkInterface", needs_allow=True)
    for keys in readings:
        yield Check(
            "ec2:CreateTags",
            (arns.endpoint(creation.endpoint_id), subnet_arn),
            context={**keys, "ec2:CreateAction": CREATE},
        )
    if creation.makes_role:
        for keys in readings:
            yield Check(
                "iam:CreateServiceLinkedRole",
                (role, subnet_arn),
                context={**keys, "iam:AWSServiceName": SERVICE_LINKED_SERVICE},
            )


def deletion_checks(
    arns: Arns, endpoint_id: str, found: tuple[Endpoint, Subnet | None] | None
) -> tuple[Check, ...]:
    """The checks of DeleteInstanceConnectEndpoint, which may be permitted on the subnet too.

    Args:
        found: the endpoint and its subnet. When there is no such endpoint, only who may do this to it by its
            own ARN gets to learn that.
    """
    resources, readings, _ = _present(arns, endpoint_id, found)
    return tuple(Check(f"ec2:{DELETE}", resources, context=keys) for keys in readings)


def modification_checks(
    arns: Arns,
    endpoint_id: str,
    found: tuple[Endpoint, Subnet | None] | None,
    modification: Modification,
) -> tuple[Check | Guard, ...]:
    """The checks of ModifyInstanceConnectEndpoint, which may be permitted on the subnet too.

    Every attribute has one of its own, and each new group: so a policy about one of them means it whatever
    else the call sets.
    """
    return tuple(_modification_checks(arns, endpoint_id, found, modification))


def _modification_checks(
    arns: Arns,
    endpoint_id: str,
    found: tuple[Endpoint, Subnet | None] | None,
    modification: Modification,
) -> Iterator[Check | Guard]:
    action = f"ec2:{MODIFY}"
    resources, readings, tags = _present(arns, endpoint_id, found)
    others = {f"ec2:Attribute/{name}": value for name, value in modification.attributes.items()}
    for keys in readings:
        for name in modification.attributes:
            yield Check(action, resources, context={**keys, **others, "ec2:Attribute": name})
        for group_id in modification.groups:
            context = {**keys, **others, **_group_attribute(group_id), **_group_id_keys(group_id)}
            yield Check(action, resources, context=context)
    asked = {"ec2:SubnetID": found[0].subnet_id} if found is not None else {}
    for named in modification.groups.items():
        own = {**asked, **others, **_group_attribute(named[0])}
        yield _guard(arns, action, named, (own, tags))


def _present(
    arns: Arns, endpoint_id: str, found: tuple[Endpoint, Subnet | None] | None
) -> tuple[tuple[str, ...], list[Context], list[Tags]]:
    """Of an endpoint that is there: what stands for it, and each reading of its tags, as keys and as tags."""
    resources: tuple[str, ...] = (arns.endpoint(endpoint_id),)
    if found is None:
        return resources, [{}], [{}]
    endpoint, subnet = found
    tags = tag_readings(endpoint.tags, subnet.tags if subnet else {})
    place = {"ec2:SubnetID": endpoint.subnet_id}
    readings: list[Context] = [{**place, **resource_tag_keys(reading)} for reading in tags]
    return (*resources, arns.subnet(endpoint.subnet_id)), readings, tags


def _guard(
    arns: Arns,
    action: str,
    named: tuple[str, SecurityGroup | None],
    operation: tuple[Context, Sequence[Tags]],
) -> Guard:
    """The guard on a security group, in an operation with these keys and readings of tags."""
    group_id, group = named
    asked, readings = operation
    keys, own_tags = {**asked, **_group_id_keys(group_id)}, group.tags if group is not None else {}
    if group is not None:
        keys["ec2:Vpc"] = arns.vpc(group.vpc_id)
    whole = [{**keys, **resource_tag_keys(completed_tags(own_tags, reading))} for reading in readings]
    own = {**keys, **resource_tag_keys(own_tags)}
    return Guard(action, arns.security_group(group_id), own, arns.unnamed, tuple(whole))


def _group_id_keys(group_id: str) -> Context:
    return {"ec2:SecurityGroupID": group_id}


def _group_attribute(group_id: str) -> Context:
    return {"ec2:Attribute": GROUPS_ATTRIBUTE, f"ec2:Attribute/{GROUPS_ATTRIBUTE}": group_id}
