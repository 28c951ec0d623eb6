"""Customer managed policies (AWS: "Managed policies and inline policies"). AWS's own are not here."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, false, select

from hatchway.access.authorization import Check
from hatchway.access.context import request_tag_keys
from hatchway.access.policy_documents import SizeQuota
from hatchway.control.iam.documents import check_description, check_document
from hatchway.control.iam.paging import page_of_rows, path_begins
from hatchway.control.iam.quotas import require_free_name, require_room
from hatchway.control.iam.tags import read_tags, tag_list, tagging_checks
from hatchway.control.iam.targets import POLICIES, Target
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import ManagedPolicy, PolicyVersion
from hatchway.domain.ids import Kind, new_id
from hatchway.protocol import ServiceError
from hatchway.store import Transaction, tables

_COLUMNS: Final = tables.managed_policies.c
_ATTACHED: Final = tables.attachments.c.policy_arn
_BOUNDARIES: Final = tuple(table.c.permissions_boundary for table in (tables.users, tables.roles))


@operation("iam", "CreatePolicy", reads_only=False)
def create_policy(call: Call) -> Result:
    name, path = call.parameters["PolicyName"], call.parameters.get("Path") or "/"
    document = call.parameters["PolicyDocument"]
    tags = read_tags(call.parameters.get("Tags") or ())
    description = check_description(call.parameters.get("Description"))
    arn = call.arns.managed_policy(name, path)

    call.authorize(
        Check("iam:CreatePolicy", (arn,), context=request_tag_keys(tags)),
        *tagging_checks("TagPolicy", arn, tags),
    )

    check_document(document, SizeQuota.MANAGED, f"policy {name}")
    require_free_name(
        call.tx.managed_policies,
        _COLUMNS.name,
        name,
        f"A policy called {name} already exists. Duplicate names are not allowed.",
    )
    require_room(call.tx.managed_policies, "Policies")
    policy = ManagedPolicy(
        arn=arn,
        name=name,
        id=new_id(Kind.MANAGED_POLICY, call.random_bytes(16)),
        path=path,
        description=description,
        created_at=call.now,
        updated_at=call.now,
        default_version="v1",
        latest_version=1,
        tags=tags,
    )
    call.tx.managed_policies.put(policy)
    call.tx.policy_versions.put(
        PolicyVersion(policy_arn=arn, version_id="v1", document=document, created_at=call.now)
    )
    return {"Policy": policy_result(policy, Usage(0, 0))}


@operation("iam", "GetPolicy", reads_only=True)
def get_policy(call: Call) -> Result:
    target = POLICIES.target(call)

    call.authorize(target.check(call, "GetPolicy"))

    policy = target.existing()
    return {"Policy": policy_result(policy, usages(call.tx, [policy.arn])[policy.arn])}


@operation("iam", "ListPolicies", reads_only=True)
def list_policies(call: Call) -> Result:
    call.authorize(Check("iam:ListPolicies"))

    page = page_of_rows(
        call,
        call.tx.managed_policies,
        _COLUMNS.name,
        path_begins(call, _COLUMNS),
        *_listed(call),
    )
    used = usages(call.tx, [policy.arn for policy in page.items])
    policies = [policy_result(policy, used[policy.arn], in_list=True) for policy in page.items]
    return {"Policies": policies, **page.result()}


@operation("iam", "DeletePolicy", reads_only=False)
def delete_policy(call: Call) -> Result:
    target = POLICIES.target(call)

    call.authorize(target.check(call, "DeletePolicy"))

    policy = unguarded(call, target)
    used = usages(call.tx, [policy.arn])[policy.arn]
    if used.attachments or used.boundaries:
        raise ServiceError("DeleteConflict", "Cannot delete a policy attached to entities.")
    if call.tx.policy_versions.count(policy_arn=policy.arn) > 1:
        raise ServiceError(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the policy's "
            "versions. The default version is deleted with the policy.",
        )
    call.tx.policy_versions.delete_where(policy_arn=policy.arn)
    call.tx.managed_policies.delete(policy.arn)
    return {}


@dataclass(frozen=True, slots=True)
class Usage:
    """To how many identities a policy is attached, and of how many it is the permissions boundary."""

    attachments: int
    boundaries: int


def usages(tx: Transaction, arns: Iterable[str]) -> dict[str, Usage]:
    """How much these policies are used, by their ARNs."""
    wanted = list(arns)
    attached = tx.attachments.count_by(_ATTACHED, _ATTACHED.in_(wanted))
    of_users, of_roles = _BOUNDARIES
    boundaries = Counter(tx.users.count_by(of_users, of_users.in_(wanted)))
    boundaries.update(tx.roles.count_by(of_roles, of_roles.in_(wanted)))
    return {arn: Usage(attached.get(arn, 0), boundaries[arn]) for arn in wanted}


def unguarded(call: Call, target: Target[ManagedPolicy]) -> ManagedPolicy:
    """A policy whose document may be changed: one that is no guardrail.

    Guardrails bind everybody in the account, the root user too, as service control policies do: with
    permissions of the account they could be loosened by those whom they bind.

    Raises:
        ServiceError: there is no such policy, or it is a guardrail.
    """
    policy = target.existing()
    if call.tx.guardrails.get(policy.arn) is not None:
        raise ServiceError(
            "UnmodifiableEntity",
            f"Policy {policy.arn} is a guardrail of the account: it is changed in the fleet file only.",
        )
    return policy


def policy_result(policy: ManagedPolicy, used: Usage, *, in_list: bool = False) -> dict[str, Any]:
    """A policy as IAM gives it; lists leave out its tags and its description."""
    result: dict[str, Any] = {
        "PolicyName": policy.name,
        "PolicyId": policy.id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version,
        "AttachmentCount": used.attachments,
        "PermissionsBoundaryUsageCount": used.boundaries,
        "IsAttachable": True,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.updated_at,
    }
    if not in_list:
        result["Description"] = policy.description or None
        result["Tags"] = tag_list(policy.tags)
    return result


def _listed(call: Call) -> list[ColumnElement[bool]]:
    """What the parameters of ListPolicies, besides the path, leave of all policies."""
    conditions: list[ColumnElement[bool]] = []
    usage = call.parameters.get("PolicyUsageFilter")
    if call.parameters.get("Scope") == "AWS":
        conditions.append(false())
    if call.parameters.get("OnlyAttached") or usage == "PermissionsPolicy":
        conditions.append(_COLUMNS.arn.in_(select(_ATTACHED)))
    if usage == "PermissionsBoundary":
        first, *others = (select(column).where(column.is_not(None)) for column in _BOUNDARIES)
        conditions.append(_COLUMNS.arn.in_(first.union(*others)))
    return conditions
