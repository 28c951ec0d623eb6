"""Groups, and who is in them (AWS: "IAM user groups")."""

from typing import Final

from sqlalchemy import select

from hatchway.access.authorization import Check
from hatchway.control.iam.identities import rename, renaming_checks, require_bare
from hatchway.control.iam.paging import page_of_rows, path_begins
from hatchway.control.iam.quotas import GROUPS_PER_USER, require_free_name, require_room
from hatchway.control.iam.results import group_result, user_result
from hatchway.control.iam.targets import GROUPS, USERS
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import Group, Membership
from hatchway.domain.ids import Kind, new_id
from hatchway.protocol import ServiceError
from hatchway.store import tables

_COLUMNS: Final = tables.groups.c
_MEMBERSHIPS: Final = tables.memberships.c


@operation("iam", "CreateGroup", reads_only=False)
def create_group(call: Call) -> Result:
    name, path = call.parameters["GroupName"], call.parameters.get("Path") or "/"

    call.authorize(Check("iam:CreateGroup", (call.arns.group(name, path),)))

    require_free_name(call.tx.groups, _COLUMNS.name, name, f"Group with name {name} already exists.")
    require_room(call.tx.groups, "Groups")
    group = Group(name=name, id=new_id(Kind.GROUP, call.random_bytes(16)), path=path, created_at=call.now)
    call.tx.groups.put(group)
    return {"Group": group_result(call, group)}


@operation("iam", "GetGroup", reads_only=True)
def get_group(call: Call) -> Result:
    """A group with a page of its users."""
    target = GROUPS.target(call)

    call.authorize(target.check(call, "GetGroup"))

    group = target.existing()
    members = select(_MEMBERSHIPS.user_name).where(_MEMBERSHIPS.group_name == group.name)
    name = tables.users.c.name
    page = page_of_rows(call, call.tx.users, name, name.in_(members))
    return {
        "Group": group_result(call, group),
        "Users": [user_result(call, user, in_list=True) for user in page.items],
        **page.result(),
    }


@operation("iam", "UpdateGroup", reads_only=False)
def update_group(call: Call) -> Result:
    """Gives a group another name or path. Its users and policies stay."""
    target = GROUPS.target(call)
    name = call.parameters.get("NewGroupName") or target.name
    path = call.parameters.get("NewPath") or ("/" if target.found is None else target.found.path)

    call.authorize(*renaming_checks(call, "UpdateGroup", target, name, path))

    rename(call, target, name, path)
    return {}


@operation("iam", "DeleteGroup", reads_only=False)
def delete_group(call: Call) -> Result:
    target = GROUPS.target(call)

    call.authorize(target.check(call, "DeleteGroup"))

    group = target.existing()
    members = call.tx.memberships.count(group_name=group.name)
    require_bare(call, target, (members, "remove users from group"))
    call.tx.groups.delete(group.name)
    return {}


@operation("iam", "ListGroups", reads_only=True)
def list_groups(call: Call) -> Result:
    call.authorize(Check("iam:ListGroups"))

    page = page_of_rows(call, call.tx.groups, _COLUMNS.name, path_begins(call, _COLUMNS))
    return {"Groups": [group_result(call, group) for group in page.items], **page.result()}


@operation("iam", "AddUserToGroup", reads_only=False)
def add_user_to_group(call: Call) -> Result:
    """A user that is in the group already stays in it."""
    target, user = GROUPS.target(call), USERS.target(call)

    call.authorize(target.check(call, "AddUserToGroup"))

    membership = Membership(user_name=user.existing().name, group_name=target.existing().name)
    if call.tx.memberships.get(membership.user_name, membership.group_name) is None:
        if call.tx.memberships.count(user_name=user.name) >= GROUPS_PER_USER:
            raise ServiceError("LimitExceeded", f"Cannot exceed quota for GroupsPerUser: {GROUPS_PER_USER}")
        call.tx.memberships.put(membership)
    return {}


@operation("iam", "RemoveUserFromGroup", reads_only=False)
def remove_user_from_group(call: Call) -> Result:
    target, user = GROUPS.target(call), USERS.target(call)

    call.authorize(target.check(call, "RemoveUserFromGroup"))

    group_name, user_name = target.existing().name, user.existing().name
    if not call.tx.memberships.delete(user_name, group_name):
        raise ServiceError("NoSuchEntity", f"User {user_name} is not in group {group_name}.")
    return {}


@operation("iam", "ListGroupsForUser", reads_only=True)
def list_groups_for_user(call: Call) -> Result:
    target = USERS.target(call)

    call.authorize(target.check(call, "ListGroupsForUser"))

    joined = select(_MEMBERSHIPS.group_name).where(_MEMBERSHIPS.user_name == target.existing().name)
    page = page_of_rows(call, call.tx.groups, _COLUMNS.name, _COLUMNS.name.in_(joined))
    return {"Groups": [group_result(call, group) for group in page.items], **page.result()}
