"""What users, groups and roles have in common: their names, their boundaries, what hangs on them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hatchway.access.authorization import Check
from hatchway.control.iam.quotas import require_free_name
from hatchway.control.iam.targets import ROLES, USERS, Target, boundary_keys, on_each, require_attachable
from hatchway.control.operations import Call, Result
from hatchway.protocol import ServiceError


@on_each(USERS, ROLES, name="Put{}PermissionsBoundary", reads_only=False)
def put_permissions_boundary(call: Call, action: str, target: Target[Any]) -> Result:
    """The check sees the boundary that is to be, so that a policy can say which ones may be set."""
    boundary = call.parameters["PermissionsBoundary"]

    call.authorize(target.check(call, action, boundary_keys(boundary)))

    bounded = target.modifiable()
    require_attachable(call, boundary)
    target.kind.rows(call).put(replace(bounded, permissions_boundary=boundary))
    return {}


@on_each(USERS, ROLES, name="Delete{}PermissionsBoundary", reads_only=False)
def delete_permissions_boundary(call: Call, action: str, target: Target[Any]) -> Result:
    call.authorize(target.check(call, action, bounded=True))

    bounded = target.modifiable()
    if bounded.permissions_boundary is None:
        raise ServiceError(
            "NoSuchEntity", f"{target.kind.word} {target.name} does not have a permissions boundary."
        )
    target.kind.rows(call).put(replace(bounded, permissions_boundary=None))
    return {}


def renaming_checks(call: Call, action: str, target: Target[Any], name: str, path: str) -> Iterable[Check]:
    """Checks of the action on what is there, and on what it is to be (AWS: "UpdateUser")."""
    now = target.check(call, action)
    then = now._replace(resources=(target.kind.arn(call.arns, name, path),))
    return (now,) if then == now else (now, then)


def rename(call: Call, target: Target[Any], name: str, path: str) -> None:
    """Gives a user or group another name and path. What hangs on it goes along.

    Raises:
        ServiceError: the name is taken.
    """
    kind, tx = target.kind, call.tx
    old = target.existing()
    message = f"{kind.word} with name {name} already exists."
    rows = kind.rows(call)
    require_free_name(rows, kind.table.c.name, name, message, but=old.name)
    if name != old.name:
        rows.delete(old.name)
        for repository in (tx.inline_policies, tx.attachments):
            _move(repository, target.owner, {"owner_name": name})
        named = f"{kind.owner}_name"
        _move(tx.memberships, {named: old.name}, {named: name})
    rows.put(replace(old, name=name, path=path))


def require_bare(call: Call, target: Target[Any], *also: tuple[int, str]) -> None:
    """Refuses to delete what still has something: `also` counts things, each with what to do about them.

    Raises:
        ServiceError: it has policies, or some of those things.
    """
    attached = (
        *also,
        (call.tx.inline_policies.count(**target.owner), "delete policies"),
        (call.tx.attachments.count(**target.owner), "detach all policies"),
    )
    for count, remedy in attached:
        if count:
            raise ServiceError("DeleteConflict", f"Cannot delete entity, must {remedy} first.")


def _move(rows: Any, equal: dict[str, Any], changed: dict[str, Any]) -> None:
    """Rows that are found by a part of their key are made anew under another."""
    moved = rows.find(**equal)
    rows.delete_where(**equal)
    rows.put_all(replace(row, **changed) for row in moved)
