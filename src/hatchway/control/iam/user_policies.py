"""Inline policies of users (AWS: "Managed policies and inline policies")."""

from hatchway.access.policy_documents import (
    MalformedPolicy,
    PolicyTooLarge,
    SizeQuota,
    check_policy_document,
    document_size,
)
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.targets import UserTarget
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import InlinePolicy, OwnerKind
from hatchway.protocol import ServiceError


@operation("iam", "PutUserPolicy", reads_only=False)
def put_user_policy(call: Call) -> Result:
    """Adds a policy or replaces the one of that name."""
    target = UserTarget.named(call, call.parameters["UserName"])
    policy_name = call.parameters["PolicyName"]
    document = call.parameters["PolicyDocument"]

    call.authorize(target.check(call, "PutUserPolicy"))

    user = target.existing()
    others = [policy for policy in _policies(call, user.name) if policy.policy_name != policy_name]
    check_document(document, SizeQuota.USER_INLINE, f"user {user.name}", others)
    call.tx.inline_policies.put(
        InlinePolicy(
            owner_kind=OwnerKind.USER, owner_name=user.name, policy_name=policy_name, document=document
        )
    )
    return {}


@operation("iam", "GetUserPolicy", reads_only=True)
def get_user_policy(call: Call) -> Result:
    target = UserTarget.named(call, call.parameters["UserName"])
    policy_name = call.parameters["PolicyName"]

    call.authorize(target.check(call, "GetUserPolicy"))

    policy = call.tx.inline_policies.get(OwnerKind.USER, target.existing().name, policy_name)
    if policy is None:
        raise _no_such_policy(policy_name)
    return {
        "UserName": target.name,
        "PolicyName": policy_name,
        "PolicyDocument": policy.document,
    }


@operation("iam", "ListUserPolicies", reads_only=True)
def list_user_policies(call: Call) -> Result:
    target = UserTarget.named(call, call.parameters["UserName"])

    call.authorize(target.check(call, "ListUserPolicies"))

    names = [policy.policy_name for policy in _policies(call, target.existing().name)]
    page = page_of(call, names, key=lambda name: name)
    return {"PolicyNames": page.items, **page.result()}


@operation("iam", "DeleteUserPolicy", reads_only=False)
def delete_user_policy(call: Call) -> Result:
    target = UserTarget.named(call, call.parameters["UserName"])
    policy_name = call.parameters["PolicyName"]

    call.authorize(target.check(call, "DeleteUserPolicy"))

    if not call.tx.inline_policies.delete(OwnerKind.USER, target.existing().name, policy_name):
        raise _no_such_policy(policy_name)
    return {}


def check_document(document: str, quota: SizeQuota, owner: str, others: list[InlinePolicy]) -> None:
    """Refuses what is no policy, or too large together with the owner's other inline policies.

    Raises:
        ServiceError: with the place and the problem, or the quota.
    """
    besides = sum(document_size(policy.document) for policy in others)
    try:
        check_policy_document(document, quota, besides=besides)
    except MalformedPolicy as problem:
        raise ServiceError("MalformedPolicyDocument", str(problem)) from None
    except PolicyTooLarge:
        raise ServiceError(
            "LimitExceeded", f"Maximum policy size of {int(quota)} bytes exceeded for {owner}"
        ) from None


def _policies(call: Call, user_name: str) -> list[InlinePolicy]:
    return call.tx.inline_policies.find(owner_kind=OwnerKind.USER, owner_name=user_name)


def _no_such_policy(name: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The user policy with name {name} cannot be found.")
