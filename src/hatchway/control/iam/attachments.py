"""Managed policies attached to users, groups and roles (AWS: "Managed policies and inline policies")."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, false, or_, select

from hatchway.control.iam.paging import Find, page_of_rows, page_of_sections, path_begins
from hatchway.control.iam.quotas import ATTACHED_POLICIES
from hatchway.control.iam.targets import (
    GROUPS,
    POLICIES,
    ROLES,
    USERS,
    Kind,
    Target,
    on_each,
    require_attachable,
)
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import Attachment
from hatchway.protocol import ServiceError
from hatchway.store import tables

_ATTACHMENTS: Final = tables.attachments.c
_POLICIES: Final = tables.managed_policies.c
_ENTITIES: Final[Mapping[str, Kind[Any]]] = {kind.word: kind for kind in (GROUPS, USERS, ROLES)}
"""By what `EntityFilter` calls them."""


@on_each(USERS, GROUPS, ROLES, name="Attach{}Policy", reads_only=False)
def attach_policy(call: Call, action: str, target: Target[Any]) -> Result:
    """A policy that is attached already stays so."""
    arn = call.parameters["PolicyArn"]

    call.authorize(target.check(call, action, {"iam:PolicyARN": arn}, bounded=True))

    target.modifiable()
    require_attachable(call, arn)
    if call.tx.attachments.get(*target.owner.values(), arn) is None:
        if call.tx.attachments.count(**target.owner) >= ATTACHED_POLICIES:
            things = f"PoliciesPer{target.kind.word}"
            raise ServiceError("LimitExceeded", f"Cannot exceed quota for {things}: {ATTACHED_POLICIES}")
        call.tx.attachments.put(Attachment(**target.owner, policy_arn=arn))
    return {}


@on_each(USERS, GROUPS, ROLES, name="Detach{}Policy", reads_only=False)
def detach_policy(call: Call, action: str, target: Target[Any]) -> Result:
    arn = call.parameters["PolicyArn"]

    call.authorize(target.check(call, action, {"iam:PolicyARN": arn}, bounded=True))

    target.modifiable()
    if not call.tx.attachments.delete(*target.owner.values(), arn):
        raise POLICIES.named(call, arn).missing()
    return {}


@on_each(USERS, GROUPS, ROLES, name="ListAttached{}Policies", reads_only=True)
def list_attached_policies(call: Call, action: str, target: Target[Any]) -> Result:
    call.authorize(target.check(call, action))

    target.existing()
    owner = target.owner
    attached = select(_ATTACHMENTS.policy_arn).where(
        _ATTACHMENTS.owner_kind == owner["owner_kind"], _ATTACHMENTS.owner_name == owner["owner_name"]
    )
    page = page_of_rows(
        call,
        call.tx.managed_policies,
        _POLICIES.name,
        _POLICIES.arn.in_(attached),
        path_begins(call, _POLICIES),
    )
    return {
        "AttachedPolicies": [{"PolicyName": policy.name, "PolicyArn": policy.arn} for policy in page.items],
        **page.result(),
    }


@operation("iam", "ListEntitiesForPolicy", reads_only=True)
def list_entities_for_policy(call: Call) -> Result:
    """Groups, then users, then roles that have a policy attached, or that have it as their boundary."""
    target = POLICIES.target(call)
    wanted = call.parameters.get("EntityFilter")

    call.authorize(target.check(call, "ListEntitiesForPolicy"))

    target.existing()
    kinds = {word: kind for word, kind in _ENTITIES.items() if wanted in {None, word}}
    sections: dict[str, Find] = {
        word: partial(_entities, call, kind, target.name) for word, kind in kinds.items()
    }
    page = page_of_sections(call, sections)
    groups, users, roles = (
        [entity for section, entity in page.items if section == word] for word in _ENTITIES
    )
    return {
        "PolicyGroups": [{"GroupName": group.name, "GroupId": group.id} for group in groups],
        "PolicyUsers": [{"UserName": user.name, "UserId": user.id} for user in users],
        "PolicyRoles": [{"RoleName": role.name, "RoleId": role.id} for role in roles],
        **page.result(),
    }


def _entities(call: Call, kind: Kind[Any], policy_arn: str, after: str, most: int) -> list[Any]:
    columns = kind.table.c
    return kind.rows(call).find(
        columns.name > after,
        path_begins(call, columns),
        _uses(kind, policy_arn, call.parameters.get("PolicyUsageFilter")),
        limit=most,
    )


def _uses(kind: Kind[Any], policy_arn: str, usage: str | None) -> ColumnElement[bool]:
    """The condition that one of this kind uses a policy, in the way of a `PolicyUsageFilter`."""
    ways: list[ColumnElement[bool]] = []
    if usage in {None, "PermissionsPolicy"}:
        owners = select(_ATTACHMENTS.owner_name).where(
            _ATTACHMENTS.policy_arn == policy_arn, _ATTACHMENTS.owner_kind == kind.owner
        )
        ways.append(kind.table.c.name.in_(owners))
    if usage in {None, "PermissionsBoundary"} and kind is not GROUPS:
        ways.append(kind.table.c.permissions_boundary == policy_arn)
    return or_(false(), *ways)
