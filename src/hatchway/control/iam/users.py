"""Users (AWS: "IAM users")."""

from typing import Any, Final

from sqlalchemy import func

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.control.iam.paging import page_of_rows
from hatchway.control.iam.targets import UserTarget
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import OwnerKind, User
from hatchway.domain.ids import Kind, new_id
from hatchway.domain.network import Tags
from hatchway.domain.text import line_problem
from hatchway.protocol import ServiceError
from hatchway.store import tables

MOST_USERS: Final = 5000
"""AWS: "IAM and AWS STS quotas"."""


@operation("iam", "CreateUser", reads_only=False)
def create_user(call: Call) -> Result:
    name, path = call.parameters["UserName"], call.parameters.get("Path") or "/"
    tags = _read_tags(call.parameters.get("Tags") or ())
    boundary = call.parameters.get("PermissionsBoundary")

    boundary_keys = {"iam:PermissionsBoundary": boundary} if boundary else {}
    call.authorize(
        Check(
            "iam:CreateUser",
            (call.arns.user(name, path),),
            context={**request_tag_keys(tags), **boundary_keys},
        )
    )

    # Names that differ in case alone are one name (AWS: "CreateUser").
    if call.tx.users.count(func.lower(tables.users.c.name) == name.lower()):
        raise ServiceError("EntityAlreadyExists", f"User with name {name} already exists.")
    if call.tx.users.count() >= MOST_USERS:
        raise ServiceError("LimitExceeded", f"Cannot exceed quota for UsersPerAccount: {MOST_USERS}")
    if boundary is not None and call.tx.managed_policies.get(boundary) is None:
        raise ServiceError("NoSuchEntity", f"Policy {boundary} does not exist or is not attachable.")
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
    name = call.parameters.get("UserName") or call.caller.principal.user_name
    if name is None:
        call.authorize(Check("iam:GetUser", (call.arns.root,)))
        account = call.tx.account()
        return {"User": {"UserId": account.id, "Arn": call.arns.root, "CreateDate": account.created_at}}
    target = UserTarget.named(call, name)

    call.authorize(target.check(call, "GetUser"))

    return {"User": user_result(call, target.existing())}


@operation("iam", "ListUsers", reads_only=True)
def list_users(call: Call) -> Result:
    prefix = call.parameters.get("PathPrefix") or "/"

    call.authorize(Check("iam:ListUsers"))

    columns = tables.users.c
    page = page_of_rows(
        call, call.tx.users, columns.name, func.substr(columns.path, 1, len(prefix)) == prefix
    )
    return {"Users": [user_result(call, user, with_tags=False) for user in page.items], **page.result()}


@operation("iam", "DeleteUser", reads_only=False)
def delete_user(call: Call) -> Result:
    target = UserTarget.named(call, call.parameters["UserName"])

    call.authorize(target.check(call, "DeleteUser"))

    user = target.existing()
    _check_bare(call, user)
    call.tx.users.delete(user.name)
    return {}


def user_result(call: Call, user: User, *, with_tags: bool = True) -> dict[str, Any]:
    """A user as IAM gives it; lists leave out the tags and the boundary."""
    result: dict[str, Any] = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": call.arns.user(user.name, user.path),
        "CreateDate": user.created_at,
    }
    if with_tags and user.tags:
        result["Tags"] = [{"Key": key, "Value": value} for key, value in sorted(user.tags.items())]
    if with_tags and user.permissions_boundary is not None:
        result["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": user.permissions_boundary,
        }
    return result


def _check_bare(call: Call, user: User) -> None:
    """Refuses while anything is attached to the user."""
    of_user = {"owner_kind": OwnerKind.USER, "owner_name": user.name}
    attached = (
        (call.tx.memberships.count(user_name=user.name), "must remove users from group first"),
        (call.tx.access_keys.count(user_name=user.name), "must delete access keys first"),
        (call.tx.inline_policies.count(**of_user), "must delete policies first"),
        (call.tx.attachments.count(**of_user), "must detach all policies first"),
    )
    for count, remedy in attached:
        if count:
            raise ServiceError("DeleteConflict", f"Cannot delete entity, {remedy}.")


def _read_tags(tags: Any) -> Tags:
    found: dict[str, str] = {}
    for tag in tags:
        key = tag["Key"]
        # IAM's tag keys are told apart without regard to case (AWS: "Rules for tagging in IAM and AWS STS").
        if key.lower() in (known.lower() for known in found):
            raise ServiceError(
                "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
            )
        if key.lower().startswith("aws:"):
            raise ServiceError("InvalidInput", "Tag keys that begin with aws: are reserved.")
        problem = line_problem(key) or line_problem(tag["Value"])
        if problem is not None:
            raise ServiceError("InvalidInput", f"The tag {problem}.")
        found[key] = tag["Value"]
    return found
