"""Roles (AWS: "IAM roles")."""

from dataclasses import replace
from typing import Any

from hatchway.access.authorization import Check
from hatchway.control.iam.targets import role_arn, tag_keys
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE
from hatchway.domain.identity import Role
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.protocol import ServiceError


@operation("iam", "CreateServiceLinkedRole", reads_only=False)
def create_service_linked_role(call: Call) -> Result:
    """Makes the role of EC2 Instance Connect, which creating an endpoint makes too."""
    service = call.parameters["AWSServiceName"]
    role_name = SERVICE_LINKED_ROLE_NAME if service == SERVICE_LINKED_SERVICE else "*"

    call.authorize(
        Check(
            "iam:CreateServiceLinkedRole",
            (call.arns.service_linked_role(service, role_name),),
            context={"iam:AWSServiceName": service},
        )
    )

    if service != SERVICE_LINKED_SERVICE:
        raise ServiceError(
            "InvalidInput", f"The only service here with a linked role is {SERVICE_LINKED_SERVICE}."
        )
    if call.parameters.get("CustomSuffix"):
        raise ServiceError("InvalidInput", f"Custom suffix is not allowed for {service}")
    if call.tx.roles.get(SERVICE_LINKED_ROLE_NAME) is not None:
        raise ServiceError(
            "InvalidInput",
            f"Service role name {SERVICE_LINKED_ROLE_NAME} has been taken in this account, "
            "please try a different suffix.",
        )
    role = replace(
        service_linked_role(call.arns.account, call.now),
        description=call.parameters.get("Description") or "",
    )
    call.tx.roles.put(role)
    return {"Role": role_result(call, role)}


@operation("iam", "GetRole", reads_only=True)
def get_role(call: Call) -> Result:
    name = call.parameters["RoleName"]
    role = call.tx.roles.get(name)

    call.authorize(
        Check("iam:GetRole", (role_arn(call, name, role),), context=tag_keys(role.tags if role else {}))
    )

    if role is None:
        raise ServiceError("NoSuchEntity", f"The role with name {name} cannot be found.")
    return {"Role": role_result(call, role)}


def role_result(call: Call, role: Role) -> dict[str, Any]:
    result: dict[str, Any] = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.id,
        "Arn": call.arns.role(role.name, role.path),
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": role.trust_policy,
        "Description": role.description or None,
        "MaxSessionDuration": role.max_session_duration,
    }
    if role.tags:
        result["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(role.tags.items())]
    return result
