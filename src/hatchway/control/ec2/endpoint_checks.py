"""What permissions endpoints need (authorization.md, sections 5 and 6)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hatchway.access.authorization import Check, Context
from hatchway.access.context import completed_tags, request_tag_keys, resource_tag_keys
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE, Arns
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Subnet, Tags

CREATE: Final = "CreateInstanceConnectEndpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A creation as far as permissions go. `subnet` None: there is no subnet with that id."""

    endpoint_id: str
    subnet_id: str
    subnet: Subnet | None
    group_ids: Sequence[str]
    tags: Tags
    makes_role: bool


def creation_checks(arns: Arns, creation: Creation) -> tuple[Check, ...]:
    """The checks of CreateInstanceConnectEndpoint; a subnet's ARN stands in for the endpoint's."""
    subnet = arns.subnet(creation.subnet_id)
    role = arns.service_linked_role(SERVICE_LINKED_SERVICE, SERVICE_LINKED_ROLE_NAME)
    keys = _creation_keys(arns, creation)
    groups = [(arns.security_group(group_id), _group_keys(group_id)) for group_id in creation.group_ids]

    # A check has one context. So that a Deny on one group sees that group's id, each has a check of its own.
    checks = [
        Check(f"ec2:{CREATE}", (subnet,), (arns.endpoint("*"), group), {**keys, **group_keys})
        for group, group_keys in groups or [(subnet, {})]
    ]
    checks.append(
        Check("ec2:CreateNetworkInterface", (subnet,), (arns.network_interface("*"),), context=keys)
    )
    checks += [
        Check("ec2:CreateNetworkInterface", (group,), context={**keys, **group_keys})
        for group, group_keys in groups
    ]
    checks.append(
        Check(
            "ec2:CreateTags",
            (arns.endpoint(creation.endpoint_id), subnet),
            context={**keys, "ec2:CreateAction": CREATE},
        )
    )
    if creation.makes_role:
        checks.append(
            Check(
                "iam:CreateServiceLinkedRole",
                (role, subnet),
                context={**keys, "iam:AWSServiceName": SERVICE_LINKED_SERVICE},
            )
        )
    return tuple(checks)


def endpoint_checks(
    arns: Arns,
    action: str,
    endpoint_id: str,
    found: tuple[Endpoint, Subnet | None] | None,
    group_ids: Sequence[str] = (),
) -> tuple[Check, ...]:
    """The checks of an action on an endpoint, which may be permitted on its subnet too.

    Args:
        found: the endpoint and its subnet. When there is no such endpoint, only who may do this to it by its
            own ARN gets to learn that.
        group_ids: new security groups, on which a Deny counts.
    """
    resources: tuple[str, ...] = (arns.endpoint(endpoint_id),)
    keys: Context = {}
    if found is not None:
        endpoint, subnet = found
        resources = (*resources, arns.subnet(endpoint.subnet_id))
        tags = completed_tags(endpoint.tags, subnet.tags if subnet else {})
        keys = {"ec2:SubnetID": endpoint.subnet_id, **resource_tag_keys(tags)}
    if not group_ids:
        return (Check(action, resources, context=keys),)
    return tuple(
        Check(action, resources, (arns.security_group(group_id),), {**keys, **_group_keys(group_id)})
        for group_id in group_ids
    )


def _creation_keys(arns: Arns, creation: Creation) -> Context:
    subnet = creation.subnet
    keys = {
        "ec2:SubnetID": creation.subnet_id,
        **request_tag_keys(creation.tags),
        # The tags that the endpoint is to carry and, for keys that it will not carry, the subnet's.
        **resource_tag_keys(completed_tags(creation.tags, subnet.tags if subnet else {})),
    }
    if subnet is not None:
        keys |= {"ec2:Vpc": arns.vpc(subnet.vpc_id), "ec2:AvailabilityZone": subnet.availability_zone}
    return keys


def _group_keys(group_id: str) -> Context:
    return {"ec2:SecurityGroupID": group_id}
