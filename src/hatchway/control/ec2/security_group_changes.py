"""Security groups made and deleted (AWS: "Security groups")."""

import re
from typing import Final

from hatchway.control.ec2.listing import tag_results
from hatchway.control.ec2.resources import SECURITY_GROUPS, VPCS
from hatchway.control.ec2.rule_requests import NO_CLASSIC, check_description
from hatchway.control.ec2.security_group_uses import group_is_used
from hatchway.control.ec2.tags import read_tags
from hatchway.control.ec2.vpc_changes import everything_out
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import DEFAULT_GROUP_NAME, GROUP_NAME, SecurityGroup
from hatchway.protocol import ServiceError

_name: Final = re.compile(GROUP_NAME).fullmatch
_ID: Final = "sg-"


@operation("ec2", "CreateSecurityGroup", reads_only=False)
def create_security_group(call: Call) -> Result:
    """Makes a group in a VPC that lets nothing in and everything out."""
    parameters = call.parameters
    name, vpc_id = parameters["GroupName"], parameters.get("VpcId")
    description = check_description(parameters["Description"], "security group")
    if not description:
        raise ServiceError("MissingParameter", "The request must contain the parameter GroupDescription")
    if not _name(name) or name.lower().startswith(_ID):
        raise ServiceError(
            "InvalidParameterValue",
            "Invalid security group name: 1 to 255 of a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=&;{}!$*, no"
            f" space at its ends, and it does not begin with {_ID}.",
        )
    if name == DEFAULT_GROUP_NAME:
        raise ServiceError("InvalidParameterValue", f"Cannot use reserved security group name: {name}")
    tags = read_tags(parameters.get("TagSpecifications") or (), SECURITY_GROUPS.type)
    if not vpc_id:
        raise ServiceError("VPCIdNotSpecified", "No default VPC for this user")
    vpc = VPCS.find(call, vpc_id)
    group = SecurityGroup(
        id=new_id(Kind.SECURITY_GROUP, call.random_bytes(16)),
        vpc_id=vpc_id,
        name=name,
        description=description,
        egress=() if vpc is None else everything_out(vpc),
        tags=tags,
    )

    call.authorize(
        *SECURITY_GROUPS.creation_checks(call, "CreateSecurityGroup", group),
        VPCS.check(call, "CreateSecurityGroup", vpc_id, vpc),
    )

    VPCS.required(vpc, vpc_id)
    if call.tx.security_groups.count(vpc_id=vpc_id, name=name):
        raise ServiceError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )
    most = call.tx.account().quotas.security_groups_per_account
    if call.tx.security_groups.count() >= most:
        raise ServiceError("SecurityGroupLimitExceeded", f"The maximum number of security groups is {most}.")
    call.tx.security_groups.put(group)
    return {
        "GroupId": group.id,
        "SecurityGroupArn": call.arns.security_group(group.id),
        "Tags": tag_results(tags),
    }


@operation("ec2", "DeleteSecurityGroup", reads_only=False, unsupported={"GroupName": NO_CLASSIC["GroupName"]})
def delete_security_group(call: Call) -> Result:
    """Deletes a group that nothing is in and no rule of another names."""
    group_id = call.parameters.get("GroupId")
    if not group_id:
        raise ServiceError("MissingParameter", "The request must contain the parameter groupId")
    group = SECURITY_GROUPS.find(call, group_id)

    call.authorize(SECURITY_GROUPS.check(call, "DeleteSecurityGroup", group_id, group))

    group = SECURITY_GROUPS.required(group, group_id)
    if group.name == DEFAULT_GROUP_NAME:
        raise ServiceError(
            "CannotDelete",
            f'the specified group: "{group_id}" name: "{group.name}" cannot be deleted by a user',
        )
    if group_is_used(call, group_id):
        raise ServiceError("DependencyViolation", f"resource {group_id} has a dependent object")
    call.tx.security_groups.delete(group_id)
    return {"Return": True, "GroupId": group_id}
