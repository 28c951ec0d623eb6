"""Inline policies of users, groups and roles (AWS: "Managed policies and inline policies")."""

from collections.abc import Mapping
from typing import Any, Final

from hatchway.access.policy_documents import SizeQuota
from hatchway.control.iam.documents import check_document
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import GROUPS, ROLES, USERS, Target, on_each
from hatchway.control.operations import Call, Result
from hatchway.domain.identity import InlinePolicy, OwnerKind
from hatchway.protocol import ServiceError

_QUOTAS: Final[Mapping[OwnerKind | None, SizeQuota]] = {
    OwnerKind.USER: SizeQuota.USER_INLINE,
    OwnerKind.GROUP: SizeQuota.GROUP_INLINE,
    OwnerKind.ROLE: SizeQuota.ROLE_INLINE,
}


@on_each(USERS, GROUPS, ROLES, name="Put{}Policy", reads_only=False)
def put_inline_policy(call: Call, action: str, target: Target[Any]) -> Result:
    """Adds a policy or replaces the one of that name."""
    policy_name, document = call.parameters["PolicyName"], call.parameters["PolicyDocument"]

    call.authorize(target.check(call, action, bounded=True))

    target.modifiable()
    others = [policy.document for policy in _policies(call, target) if policy.policy_name != policy_name]
    check_document(document, _QUOTAS[target.kind.owner], f"{target.kind.owner} {target.name}", others)
    call.tx.inline_policies.put(InlinePolicy(**target.owner, policy_name=policy_name, document=document))
    return {}


@on_each(USERS, GROUPS, ROLES, name="Get{}Policy", reads_only=True)
def get_inline_policy(call: Call, action: str, target: Target[Any]) -> Result:
    policy_name = call.parameters["PolicyName"]

    call.authorize(target.check(call, action))

    target.existing()
    policy = call.tx.inline_policies.get(*target.owner.values(), policy_name)
    if policy is None:
        raise _no_such_policy(target, policy_name)
    return {
        target.kind.parameter: target.name,
        "PolicyName": policy_name,
        "PolicyDocument": policy.document,
    }


@on_each(USERS, GROUPS, ROLES, name="List{}Policies", reads_only=True)
def list_inline_policies(call: Call, action: str, target: Target[Any]) -> Result:
    call.authorize(target.check(call, action))

    target.existing()
    names = [policy.policy_name for policy in _policies(call, target)]
    page = page_of(call, names, key=lambda name: name)
    return {"PolicyNames": page.items, **page.result()}


@on_each(USERS, GROUPS, ROLES, name="Delete{}Policy", reads_only=False)
def delete_inline_policy(call: Call, action: str, target: Target[Any]) -> Result:
    policy_name = call.parameters["PolicyName"]

    call.authorize(target.check(call, action, bounded=True))

    target.modifiable()
    if not call.tx.inline_policies.delete(*target.owner.values(), policy_name):
        raise _no_such_policy(target, policy_name)
    return {}


def _policies(call: Call, target: Target[Any]) -> list[InlinePolicy]:
    return call.tx.inline_policies.find(**target.owner)


def _no_such_policy(target: Target[Any], name: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The {target.kind.owner} policy with name {name} cannot be found.")
