"""Hosts that are registered, changed and taken out through the API, beside those of fleet files."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.access.authorization import Check, Context
from hatchway.access.context import request_tag_keys, resource_tag_keys
from hatchway.control.ec2.listing import tag_results
from hatchway.control.ec2.resources import INSTANCES, zone_keys
from hatchway.control.hatchway_service.registration import Registration, changed, registered
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.account import ClientToken
from hatchway.domain.arns import Arns
from hatchway.domain.network import Instance, Subnet, Tags
from hatchway.protocol import ServiceError

_REGISTER: Final = "RegisterInstance"
_ATTRIBUTES: Final[Mapping[str, str]] = {
    "Name": "name",
    "PrivateIpAddress": "private_ip",
    "Ipv6Address": "ipv6",
    "State": "state",
    "InstanceType": "instance_type",
}
"""Parameters of ModifyInstance, and the fields that they set; an empty text unsets one."""


@operation("hatchway", _REGISTER, reads_only=False)
def register_instance(call: Call) -> Result:
    """Registers a host; one that a call with the same token has registered is told again."""
    given = call.parameters
    subnet_id, tags = given["SubnetId"], tags_of(given.get("Tags") or ())
    groups = given.get("SecurityGroupIds")
    subnet = call.tx.subnets.get(subnet_id)

    call.authorize(
        Check(
            f"hatchway:{_REGISTER}",
            (call.arns.subnet(subnet_id),),
            (
                call.arns.instance(given.get("InstanceId") or "*"),
                *map(call.arns.security_group, groups or ()),
            ),
            {**place_keys(call.arns, subnet_id, subnet), **request_tag_keys(tags)},
        ),
        *new_tag_checks(call, _REGISTER, given.get("InstanceId") or "*", subnet, tags),
    )

    subnet = require_subnet(subnet_id, subnet)
    require_groups(call, groups or ())
    digest = _digest(given)
    earlier = _earlier(call, digest)
    if earlier is not None:
        return {"Instance": instance_result(call.arns, earlier)}
    registration = Registration(
        name=given["Name"],
        subnet=subnet,
        private_ip=given.get("PrivateIpAddress") or None,
        ipv6=given.get("Ipv6Address") or None,
        security_group_ids=None if groups is None else tuple(groups),
        id=given.get("InstanceId"),
        state=given.get("State"),
        instance_type=given.get("InstanceType") or None,
        tags=tags,
    )
    instance = registered(call.tx, registration, call.now)
    call.tx.instances.put(instance)
    if (token := given.get("ClientToken")) is not None:
        call.tx.client_tokens.put(
            ClientToken(
                token=token,
                operation=_REGISTER,
                request_hash=digest,
                resource_id=instance.id,
                created_at=call.now,
            )
        )
    return {"Instance": instance_result(call.arns, instance)}


@operation("hatchway", "ModifyInstance", reads_only=False)
def modify_instance(call: Call) -> Result:
    """Changes what is said of a host."""
    given = call.parameters
    instance_id = given["InstanceId"]
    tags = tags_of(given["Tags"]) if "Tags" in given else None
    groups = given.get("SecurityGroupIds")
    instance = call.tx.instances.get(instance_id)
    subnet_id = given.get("SubnetId") or (instance.subnet_id if instance is not None else "")
    subnet = call.tx.subnets.get(subnet_id)
    asked = _tag_keys_asked(tags, instance)

    group_arns = tuple(map(call.arns.security_group, groups or ()))
    checks = [instance_check(call, "ModifyInstance", instance_id, instance, deny_also=group_arns, more=asked)]
    if "SubnetId" in given:
        keys = {**place_keys(call.arns, subnet_id, subnet), **asked}
        checks.append(Check("hatchway:ModifyInstance", (call.arns.subnet(subnet_id),), (), keys))
    if tags is not None:
        checks += _changed_tag_checks(call, instance_id, instance, tags)
    call.authorize(*checks)

    instance = require_instance(instance_id, instance)
    subnet = require_subnet(subnet_id, subnet)
    require_groups(call, groups or ())
    changes: dict[str, Any] = {"subnet": subnet}
    changes |= {field: given[name] or None for name, field in _ATTRIBUTES.items() if name in given}
    if groups is not None:
        changes["security_group_ids"] = tuple(groups)
    if tags is not None:
        changes["tags"] = tags
    after = registered(call.tx, changed(instance, **changes), call.now)
    call.tx.instances.put(after)
    return {"Instance": instance_result(call.arns, after)}


def _tag_keys_asked(tags: Tags | None, instance: Instance | None) -> Context:
    """What conditions see of the tags that an instance is to have in place of its own.

    Those that it loses are among `aws:TagKeys` too: what a policy says of their keys holds for them.
    """
    if tags is None:
        return {}
    changed_keys = tuple(dict.fromkeys([*tags, *(() if instance is None else instance.tags)]))
    return {**request_tag_keys(tags), "aws:TagKeys": changed_keys} if changed_keys else {}


def new_tag_checks(
    call: Call, action: str, instance_id: str, subnet: Subnet | None, tags: Tags
) -> Iterable[Check]:
    """The permission that giving tags to a new instance takes, as where EC2 makes something with tags.

    So a policy that guards tags, and what they allow, holds whichever way an instance gets them.
    """
    if tags:
        asked = {**zone_keys(subnet), **request_tag_keys(tags), "ec2:CreateAction": action}
        yield Check("ec2:CreateTags", (call.arns.instance(instance_id),), context=asked)


def _changed_tag_checks(
    call: Call, instance_id: str, instance: Instance | None, tags: Tags
) -> Iterable[Check]:
    """The permissions that `CreateTags` and `DeleteTags` would take to come to the same tags."""
    before = {} if instance is None else instance.tags
    given = {key: value for key, value in tags.items() if before.get(key) != value}
    gone = tuple(key for key in before if key not in tags)
    if given:
        yield INSTANCES.check(call, "CreateTags", instance_id, instance, context=request_tag_keys(given))
    if gone:
        yield INSTANCES.check(call, "DeleteTags", instance_id, instance, context={"aws:TagKeys": gone})


@operation("hatchway", "DeregisterInstance", reads_only=False)
def deregister_instance(call: Call) -> Result:
    """Takes a host out of the account, with all by which it was known."""
    instance_id = call.parameters["InstanceId"]
    instance = call.tx.instances.get(instance_id)

    call.authorize(instance_check(call, "DeregisterInstance", instance_id, instance))

    instance = require_instance(instance_id, instance)
    call.tx.instances.delete(instance_id)
    call.tx.host_tokens.delete(instance_id)
    call.tx.host_public_keys.delete(instance_id)
    call.tx.pushed_keys.delete_where(instance_id=instance_id)
    return {"Instance": instance_result(call.arns, instance)}


def instance_check(
    call: Call,
    operation_name: str,
    instance_id: str,
    instance: Instance | None,
    *,
    deny_also: tuple[str, ...] = (),
    more: Context | None = None,
) -> Check:
    """The permission to do something to an instance, whose tags and place conditions see."""
    keys: dict[str, Any] = {}
    if instance is not None:
        keys = {
            **resource_tag_keys(instance.tags),
            "ec2:SubnetID": instance.subnet_id,
            "ec2:Vpc": call.arns.vpc(instance.vpc_id),
        }
    return Check(
        f"hatchway:{operation_name}", (call.arns.instance(instance_id),), deny_also, {**keys, **(more or {})}
    )


def place_keys(arns: Arns, subnet_id: str, subnet: Subnet | None) -> Context:
    """What conditions see of the subnet that something is to be in."""
    if subnet is None:
        return {"ec2:SubnetID": subnet_id}
    return {
        **resource_tag_keys(subnet.tags),
        "ec2:SubnetID": subnet_id,
        "ec2:Vpc": arns.vpc(subnet.vpc_id),
    }


def require_instance(instance_id: str, instance: Instance | None) -> Instance:
    """
    Raises:
        ServiceError: there is none.
    """
    if instance is None:
        raise ServiceError("ResourceNotFoundException", f"There is no instance {instance_id}.")
    return instance


def require_subnet(subnet_id: str, subnet: Subnet | None) -> Subnet:
    """
    Raises:
        ServiceError: there is none.
    """
    if subnet is None:
        raise ServiceError("ResourceNotFoundException", f"There is no subnet {subnet_id}.")
    return subnet


def require_groups(call: Call, group_ids: Sequence[str]) -> None:
    """
    Raises:
        ServiceError: one is not there.
    """
    for group_id in group_ids:
        if call.tx.security_groups.get(group_id) is None:
            raise ServiceError("ResourceNotFoundException", f"There is no security group {group_id}.")


def tags_of(given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """
    Raises:
        ServiceError: two keys are one, case aside. The rest is checked with the instance.
    """
    tags: dict[str, str] = {}
    for tag in given:
        if tag["Key"].lower() in (key.lower() for key in tags):
            raise ServiceError("ValidationException", f"Tags: the key '{tag['Key']}' is there twice.")
        tags[tag["Key"]] = tag["Value"]
    return tags


def instance_result(arns: Arns, instance: Instance) -> Result:
    """An instance as answers have it."""
    return {
        "InstanceId": instance.id,
        "InstanceArn": arns.instance(instance.id),
        "Name": instance.name,
        "VpcId": instance.vpc_id,
        "SubnetId": instance.subnet_id,
        "PrivateIpAddress": instance.private_ip,
        "Ipv6Address": instance.ipv6,
        "SecurityGroupIds": list(instance.security_group_ids),
        "State": instance.state.value,
        "InstanceType": instance.instance_type,
        "Tags": tag_results(instance.tags),
    }


def _digest(parameters: Mapping[str, Any]) -> str:
    request = {name: value for name, value in parameters.items() if name not in ("ClientToken", "DryRun")}
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()


def _earlier(call: Call, digest: str) -> Instance | None:
    """What an earlier call with this token registered.

    Raises:
        ServiceError: that call asked for something else, or it has been taken out since.
    """
    token = call.parameters.get("ClientToken")
    known = None if token is None else call.tx.client_tokens.get(token, _REGISTER)
    if known is None:
        return None
    if known.request_hash != digest:
        raise ServiceError(
            "ConflictException", "The client token has already been used for a request with other parameters."
        )
    return require_instance(known.resource_id, call.tx.instances.get(known.resource_id))
