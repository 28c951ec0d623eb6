"""All identities and policies of the account with their relations (AWS: "GetAccountAuthorizationDetails")."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select

from hatchway.access.authorization import Check
from hatchway.control.iam.paging import Find, page_of_sections
from hatchway.control.iam.policies import policy_result, usages
from hatchway.control.iam.policy_versions import version_result
from hatchway.control.iam.results import group_result, role_result, user_result
from hatchway.control.iam.roles import last_used
from hatchway.control.iam.targets import GROUPS, POLICIES, ROLES, USERS, Kind
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import ManagedPolicy, Role
from hatchway.store import Rows, tables

_SECTIONS: Final[Mapping[str, Kind[Any]]] = {
    "User": USERS,
    "Group": GROUPS,
    "Role": ROLES,
    "LocalManagedPolicy": POLICIES,
}
"""By what `Filter` calls them."""


@operation("iam", "GetAccountAuthorizationDetails", reads_only=True)
def get_account_authorization_details(call: Call) -> Result:
    """A page of users, then groups, then roles, then policies, each with all that decides what it may do."""
    wanted = call.parameters.get("Filter") or list(_SECTIONS)

    call.authorize(Check("iam:GetAccountAuthorizationDetails"))

    sections: dict[str, Find] = {
        section: partial(_things, call, kind) for section, kind in _SECTIONS.items() if section in wanted
    }
    page = page_of_sections(call, sections, partial(_characters, call))
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for section, thing in page.items:
        found[section].append(thing)
    return {
        "UserDetailList": _identities(call, USERS, found["User"], user_result, "UserPolicyList"),
        "GroupDetailList": _identities(call, GROUPS, found["Group"], group_result, "GroupPolicyList"),
        "RoleDetailList": _identities(call, ROLES, found["Role"], role_result, "RolePolicyList"),
        "Policies": _policies(call, found["LocalManagedPolicy"]),
        **page.result(),
    }


def _things(call: Call, kind: Kind[Any], after: str, most: int) -> list[Any]:
    name = kind.table.c.name
    return kind.rows(call).find(name > after, limit=most, order=(name,))


def _characters(call: Call, page: Sequence[tuple[str, Any]]) -> list[int]:
    """Of the documents of each thing on a page: its inline policies, or its versions, and whom it trusts."""
    inline, versions = tables.inline_policies.c, tables.policy_versions.c
    of_things: dict[tuple[str, str], int] = {}
    for section, kind in _SECTIONS.items():
        names = [thing.arn if kind is POLICIES else thing.name for its, thing in page if its == section]
        if kind is POLICIES:
            owner, document = versions.policy_arn, versions.document
            query = select(owner, func.sum(func.length(document)))
        else:
            owner, document = inline.owner_name, inline.document
            query = select(owner, func.sum(func.length(document))).where(inline.owner_kind == kind.owner)
        rows = call.tx.inline_policies.rows(query.where(owner.in_(names)).group_by(owner)) if names else ()
        of_things |= {(section, name): int(size) for name, size in rows}
    return [
        of_things.get((section, thing.arn if isinstance(thing, ManagedPolicy) else thing.name), 0)
        + (len(thing.trust_policy) if isinstance(thing, Role) else 0)
        for section, thing in page
    ]


def _identities(
    call: Call,
    kind: Kind[Any],
    identities: list[Any],
    result: Callable[[Call, Any], dict[str, Any]],
    inline_member: str,
) -> list[dict[str, Any]]:
    names = [identity.name for identity in identities]
    inline = _by_owner(call.tx.inline_policies, tables.inline_policies.c, kind, names)
    attached = _by_owner(call.tx.attachments, tables.attachments.c, kind, names)
    policies = _by(call.tx.managed_policies, tables.managed_policies.c.arn, {
        attachment.policy_arn for some in attached.values() for attachment in some
    })  # fmt: skip
    groups = _by(call.tx.memberships, tables.memberships.c.user_name, names) if kind is USERS else {}
    used = last_used(call, identities) if kind is ROLES else {}
    details = []
    for identity in identities:
        name = identity.name
        detail = {
            **result(call, identity),
            inline_member: [
                {"PolicyName": policy.policy_name, "PolicyDocument": policy.document}
                for policy in inline.get(name, ())
            ],
            "AttachedManagedPolicies": [
                {"PolicyName": policy.name, "PolicyArn": policy.arn}
                for attachment in attached.get(name, ())
                for policy in policies.get(attachment.policy_arn, ())
            ],
        }
        if kind is USERS:
            detail["GroupList"] = [membership.group_name for membership in groups.get(name, ())]
        if kind is ROLES:
            detail |= {"InstanceProfileList": [], "RoleLastUsed": used[name]}
            # What GetRole tells besides is no part of these details.
            del detail["Description"], detail["MaxSessionDuration"]
        details.append(detail)
    return details


def _policies(call: Call, policies: list[ManagedPolicy]) -> list[dict[str, Any]]:
    arns = [policy.arn for policy in policies]
    used = usages(call.tx, arns)
    versions = _by(call.tx.policy_versions, tables.policy_versions.c.policy_arn, arns)
    details = []
    for policy in policies:
        detail = policy_result(policy, used[policy.arn])
        del detail["Tags"]
        detail["PolicyVersionList"] = [
            version_result(policy, version) for version in versions.get(policy.arn, ())
        ]
        details.append(detail)
    return details


def _by_owner(rows: Rows[Any], columns: Any, kind: Kind[Any], names: list[str]) -> dict[str, list[Any]]:
    return _by(rows, columns.owner_name, names, columns.owner_kind == kind.owner)


def _by(
    rows: Rows[Any], column: Any, values: Iterable[str], *conditions: ColumnElement[bool]
) -> dict[str, list[Any]]:
    """Rows that have one of these values in a column, by it."""
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows.find(column.in_(list(values)), *conditions):
        found[getattr(row, column.name)].append(row)
    return found
