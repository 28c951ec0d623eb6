"""Users (AWS: "IAM users")."""

from dataclasses import replace
from typing import Final

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.access.sessions import end_sessions
from hatchway.control.iam.identities import rename, renaming_checks, require_bare
from hatchway.control.iam.paging import page_of_rows, path_begins
from hatchway.control.iam.quotas import require_free_name, require_room_for_user
from hatchway.control.iam.results import user_result
from hatchway.control.iam.tags import read_tags, tagging_checks
from hatchway.control.iam.targets import USERS, Target, boundary_keys, caller_name, require_attachable
from hatchway.control.iam.trusted_names import foresee, forget_principal, rename_principal
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import User
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.session import SessionKind
from hatchway.store import tables

_COLUMNS: Final = tables.users.c


@operation("iam", "CreateUser", reads_only=False)
def create_user(call: Call) -> Result:
    name, path = call.parameters["UserName"], call.parameters.get("Path") or "/"
    tags = read_tags(call.parameters.get("Tags") or ())
    boundary = call.parameters.get("PermissionsBoundary")

    call.authorize(
        Check(
            "iam:CreateUser",
            (call.arns.user(name, path),),
            context={**request_tag_keys(tags), **boundary_keys(boundary)},
        ),
        *tagging_checks("TagUser", call.arns.user(name, path), tags),
    )

    require_free_name(call.tx.users, _COLUMNS.name, name, f"User with name {name} already exists.")
    require_room_for_user(call.tx)
    if boundary is not None:
        require_attachable(call, boundary)
    user = User(
        name=name,
        id=new_id(Kind.USER, call.random_bytes(16)),
        path=path,
        created_at=call.now,
        permissions_boundary=boundary,
        tags=tags,
    )
    call.tx.users.put(user)
    return {"User": user_result(call, user)}


@operation("iam", "GetUser", reads_only=True)
def get_user(call: Call) -> Result:
    """The user named; without a name the caller, which may be the root user."""
    name = call.parameters.get("UserName") or caller_name(call)
    if name is None:
        call.authorize(Check("iam:GetUser", (call.arns.root,)))
        account = call.tx.account()
        return {"User": {"UserId": account.id, "Arn": call.arns.root, "CreateDate": account.created_at}}
    target = USERS.named(call, name)

    call.authorize(target.check(call, "GetUser"))

    return {"User": user_result(call, target.existing())}


def _renamed(call: Call) -> tuple[Target[User], str, str]:
    """Which user gets which name and path, authorized."""
    target = USERS.target(call)
    name = call.parameters.get("NewUserName") or target.name
    path = call.parameters.get("NewPath") or ("/" if target.found is None else target.found.path)

    call.authorize(*renaming_checks(call, "UpdateUser", target, name, path))

    return target, name, path


def _deleted(call: Call) -> Target[User]:
    """Which user is deleted, authorized."""
    target = USERS.target(call)

    call.authorize(target.check(call, "DeleteUser"))

    return target


@operation(
    "iam", "UpdateUser", reads_only=False, prepare=lambda call: foresee(call.tx, _renamed(call)[0].name)
)
def update_user(call: Call) -> Result:
    """Gives a user another name or path. All that it has stays its own."""
    target, name, path = _renamed(call)
    rename(call, target, name, path)
    rename_principal(call.tx, call.arns, target.existing(), name, path)
    keys = call.tx.access_keys.find(user_name=target.name)
    call.tx.access_keys.put_all(replace(key, user_name=name) for key in keys)
    sessions = call.tx.sessions.find(owner_id=target.existing().id)
    call.tx.sessions.put_all(replace(session, owner_name=name) for session in sessions)
    return {}


@operation("iam", "ListUsers", reads_only=True)
def list_users(call: Call) -> Result:
    call.authorize(Check("iam:ListUsers"))

    page = page_of_rows(call, call.tx.users, _COLUMNS.name, path_begins(call, _COLUMNS))
    return {"Users": [user_result(call, user, in_list=True) for user in page.items], **page.result()}


@operation("iam", "DeleteUser", reads_only=False, prepare=lambda call: foresee(call.tx, _deleted(call).name))
def delete_user(call: Call) -> Result:
    target = _deleted(call)
    user = target.existing()
    require_bare(
        call,
        target,
        (call.tx.memberships.count(user_name=user.name), "remove users from group"),
        (call.tx.access_keys.count(user_name=user.name), "delete access keys"),
    )
    call.tx.users.delete(user.name)
    forget_principal(call.tx, call.arns, user)
    end_sessions(call.tx, SessionKind.USER, [user.name])
    return {}
