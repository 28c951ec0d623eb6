"""Users, groups and roles as IAM gives them. Lists leave out tags and boundaries, as AWS's do."""

from typing import Any

from hatchway.control.iam.tags import tag_list
from hatchway.control.operations import Call
from hatchway.domain.identity import Group, Role, User


def user_result(call: Call, user: User, *, in_list: bool = False) -> dict[str, Any]:
    result: dict[str, Any] = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": call.arns.user(user.name, user.path),
        "CreateDate": user.created_at,
    }
    return result if in_list else {**result, **_tags_and_boundary(user)}


def group_result(call: Call, group: Group) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.name,
        "GroupId": group.id,
        "Arn": call.arns.group(group.name, group.path),
        "CreateDate": group.created_at,
    }


def role_result(call: Call, role: Role, *, in_list: bool = False) -> dict[str, Any]:
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
    return result if in_list else {**result, **_tags_and_boundary(role)}


def boundary_result(boundary: str) -> dict[str, str]:
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary}


def _tags_and_boundary(identity: User | Role) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if identity.tags:
        result["Tags"] = tag_list(identity.tags)
    if identity.permissions_boundary is not None:
        result["PermissionsBoundary"] = boundary_result(identity.permissions_boundary)
    return result
