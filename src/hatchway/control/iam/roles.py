"""Roles (AWS: "IAM roles"). Those of services are in `service_linked_roles`."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import func, select

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.access.sessions import end_sessions
from hatchway.control.iam.documents import check_description, check_trust_policy
from hatchway.control.iam.identities import require_bare
from hatchway.control.iam.paging import page_of_rows, path_begins
from hatchway.control.iam.quotas import require_free_name, require_room
from hatchway.control.iam.results import role_result
from hatchway.control.iam.tags import read_tags, tagging_checks
from hatchway.control.iam.targets import ROLES, Target, boundary_keys, require_attachable
from hatchway.control.iam.trusted_names import foresee, forget_principal, require_known
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import OwnerKind, Role
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.session import SessionKind
from hatchway.protocol import ServiceError
from hatchway.store import tables

_COLUMNS: Final = tables.roles.c
DEFAULT_SESSION_SECONDS: Final = 3600
_RESERVED_PATH: Final = "/aws-service-role/"


@operation("iam", "CreateRole", reads_only=False)
def create_role(call: Call) -> Result:
    name, path = call.parameters["RoleName"], call.parameters.get("Path") or "/"
    tags = read_tags(call.parameters.get("Tags") or ())
    boundary = call.parameters.get("PermissionsBoundary")
    description = check_description(call.parameters.get("Description"))

    call.authorize(
        Check(
            "iam:CreateRole",
            (call.arns.role(name, path),),
            context={**request_tag_keys(tags), **boundary_keys(boundary)},
        ),
        *tagging_checks("TagRole", call.arns.role(name, path), tags),
    )

    if path.startswith(_RESERVED_PATH):
        raise ServiceError("InvalidInput", f"The path {_RESERVED_PATH} is for the roles of services.")
    check_trust_policy(call.parameters["AssumeRolePolicyDocument"])
    require_known(call.tx, call.arns, call.parameters["AssumeRolePolicyDocument"])
    require_free_name(call.tx.roles, _COLUMNS.name, name, f"Role with name {name} already exists.")
    require_room(call.tx.roles, "Roles")
    if boundary is not None:
        require_attachable(call, boundary)
    role = Role(
        name=name,
        id=new_id(Kind.ROLE, call.random_bytes(16)),
        path=path,
        created_at=call.now,
        description=description,
        trust_policy=call.parameters["AssumeRolePolicyDocument"],
        max_session_duration=call.parameters.get("MaxSessionDuration") or DEFAULT_SESSION_SECONDS,
        permissions_boundary=boundary,
        tags=tags,
    )
    call.tx.roles.put(role)
    return {"Role": role_result(call, role)}


@operation("iam", "GetRole", reads_only=True)
def get_role(call: Call) -> Result:
    target = ROLES.target(call)

    call.authorize(target.check(call, "GetRole", bounded=True))

    role = target.existing()
    return {"Role": {**role_result(call, role), "RoleLastUsed": last_used(call, [role])[role.name]}}


def last_used(call: Call, roles: Collection[Role]) -> Mapping[str, Result]:
    """When sessions of roles last called anything, as housekeeping has noted it from the audit trail; by the
    roles' names."""
    uses = tables.service_uses.c
    latest = select(uses.owner_name, func.max(uses.used_at)).where(
        uses.owner_kind == OwnerKind.ROLE, uses.owner_name.in_([role.name for role in roles])
    )
    used_at = dict(call.tx.service_uses.rows(latest.group_by(uses.owner_name)))
    return {
        # Of a role of this name that was there before, nothing is told.
        role.name: {"LastUsedDate": used_at[role.name], "Region": call.arns.region}
        if role.name in used_at and used_at[role.name] >= role.created_at
        else {}
        for role in roles
    }


@operation("iam", "ListRoles", reads_only=True)
def list_roles(call: Call) -> Result:
    call.authorize(Check("iam:ListRoles"))

    page = page_of_rows(call, call.tx.roles, _COLUMNS.name, path_begins(call, _COLUMNS))
    return {"Roles": [role_result(call, role, in_list=True) for role in page.items], **page.result()}


@operation("iam", "UpdateRole", reads_only=False)
def update_role(call: Call) -> Result:
    """Changes the description or the longest session; what is not given stays."""
    target = ROLES.target(call)
    given = call.parameters.get("Description")
    description = check_description(given)

    call.authorize(target.check(call, "UpdateRole", bounded=True))

    role = target.modifiable()
    call.tx.roles.put(
        replace(
            role,
            description=role.description if given is None else description,
            max_session_duration=call.parameters.get("MaxSessionDuration") or role.max_session_duration,
        )
    )
    return {}


@operation("iam", "UpdateRoleDescription", reads_only=False)
def update_role_description(call: Call) -> Result:
    """AWS says: use UpdateRole instead. It may describe the role of a service, too."""
    target = ROLES.target(call)
    description = check_description(call.parameters["Description"])

    call.authorize(target.check(call, "UpdateRoleDescription", bounded=True))

    role = replace(target.existing(), description=description)
    call.tx.roles.put(role)
    return {"Role": role_result(call, role)}


@operation("iam", "UpdateAssumeRolePolicy", reads_only=False)
def update_assume_role_policy(call: Call) -> Result:
    target = ROLES.target(call)
    document = call.parameters["PolicyDocument"]

    call.authorize(target.check(call, "UpdateAssumeRolePolicy", bounded=True))

    role = target.modifiable()
    check_trust_policy(document)
    require_known(call.tx, call.arns, document, role.trust_policy)
    call.tx.roles.put(replace(role, trust_policy=document))
    return {}


def _deleted(call: Call) -> Target[Role]:
    """Which role is deleted, authorized."""
    target = ROLES.target(call)

    call.authorize(target.check(call, "DeleteRole", bounded=True))

    return target


@operation("iam", "DeleteRole", reads_only=False, prepare=lambda call: foresee(call.tx, _deleted(call).name))
def delete_role(call: Call) -> Result:
    target = _deleted(call)
    role = target.modifiable()
    require_bare(call, target)
    call.tx.roles.delete(role.name)
    forget_principal(call.tx, call.arns, role)
    end_sessions(call.tx, SessionKind.ROLE, [role.name])
    return {}
