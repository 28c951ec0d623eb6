"""The role of EC2 Instance Connect, which creating an endpoint makes too (AWS: "Service-linked roles")."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hatchway.access.authorization import Check
from hatchway.control.iam.documents import check_description
from hatchway.control.iam.results import role_result
from hatchway.control.iam.targets import ROLES
from hatchway.control.iam.trusted_names import forget_principal
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME, SERVICE_LINKED_SERVICE
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.identity import RoleDeletion
from hatchway.domain.service_linked_role import service_linked_role
from hatchway.protocol import ServiceError
from hatchway.store import tables

_KEPT: Final = timedelta(days=30)
"""How long it can be asked how a deletion went."""

_IN_USE: Final = "EC2 Instance Connect Endpoints use the role: delete these first."


@operation("iam", "CreateServiceLinkedRole", reads_only=False)
def create_service_linked_role(call: Call) -> Result:
    service = call.parameters["AWSServiceName"]
    role_name = SERVICE_LINKED_ROLE_NAME if service == SERVICE_LINKED_SERVICE else "*"
    description = check_description(call.parameters.get("Description"))

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
    role = replace(service_linked_role(call.arns.account, call.now), description=description)
    call.tx.roles.put(role)
    return {"Role": role_result(call, role)}


@operation("iam", "DeleteServiceLinkedRole", reads_only=False)
def delete_service_linked_role(call: Call) -> Result:
    """Deletes the role at once, or not while there are endpoints; the task that it gives tells which."""
    target = ROLES.target(call)

    call.authorize(target.check(call, "DeleteServiceLinkedRole"))

    role = target.existing()
    if role.linked_service is None:
        raise ServiceError("NoSuchEntity", f"The role {role.name} is not the role of a service.")
    state = tables.endpoints.c.state
    endpoints = call.tx.endpoints.values(
        tables.endpoints.c.id, where=[state != EndpointState.DELETE_COMPLETE]
    )
    task = RoleDeletion(
        id=f"task/aws-service-role/{role.linked_service}/{role.name}/{_new_uuid(call)}",
        endpoint_ids=tuple(sorted(endpoint_id for (endpoint_id,) in endpoints)),
        created_at=call.now,
    )
    if not task.endpoint_ids:
        call.tx.roles.delete(role.name)
        forget_principal(call.tx, call.arns, role)
    call.tx.role_deletions.delete_where(tables.role_deletions.c.created_at < call.now - _KEPT)
    call.tx.role_deletions.put(task)
    return {"DeletionTaskId": task.id}


@operation("iam", "GetServiceLinkedRoleDeletionStatus", reads_only=True)
def get_service_linked_role_deletion_status(call: Call) -> Result:
    task_id = call.parameters["DeletionTaskId"]
    # The id names the role, whether there is such a task or not.
    role = task_id.removeprefix("task/").rpartition("/")[0]

    call.authorize(Check("iam:GetServiceLinkedRoleDeletionStatus", (call.arns.role(role),)))

    task = call.tx.role_deletions.get(task_id)
    if task is None:
        raise ServiceError("NoSuchEntity", f"Deletion Task Id {task_id} cannot be found.")
    if not task.endpoint_ids:
        return {"Status": "SUCCEEDED"}
    used: dict[str, Any] = {
        "Region": call.arns.region,
        "Resources": [call.arns.endpoint(endpoint_id) for endpoint_id in task.endpoint_ids],
    }
    return {"Status": "FAILED", "Reason": {"Reason": _IN_USE, "RoleUsageList": [used]}}


def _new_uuid(call: Call) -> str:
    return str(uuid.UUID(bytes=call.random_bytes(16), version=4))
