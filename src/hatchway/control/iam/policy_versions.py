"""Versions of managed policies (AWS: "Versioning IAM policies")."""

from dataclasses import replace
from typing import Any

from hatchway.access.policy_documents import MAX_POLICY_VERSIONS, SizeQuota
from hatchway.control.iam.documents import check_document
from hatchway.control.iam.paging import page_of
from hatchway.control.iam.policies import unguarded
from hatchway.control.iam.targets import POLICIES
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.identity import ManagedPolicy, PolicyVersion
from hatchway.protocol import ServiceError


@operation("iam", "CreatePolicyVersion", reads_only=False)
def create_policy_version(call: Call) -> Result:
    """Adds a version, and has it be in force if the call says so."""
    target = POLICIES.target(call)
    document = call.parameters["PolicyDocument"]

    call.authorize(target.check(call, "CreatePolicyVersion"))

    policy = unguarded(call, target)
    check_document(document, SizeQuota.MANAGED, f"policy {policy.name}")
    versions = call.tx.policy_versions.find(policy_arn=policy.arn)
    if len(versions) >= MAX_POLICY_VERSIONS:
        raise ServiceError(
            "LimitExceeded",
            f"A managed policy can have up to {MAX_POLICY_VERSIONS} versions. Before you create a new "
            "version, you must delete an existing version.",
        )
    number = policy.next_version(version.version_id for version in versions)
    version = PolicyVersion(
        policy_arn=policy.arn,
        version_id=f"v{number}",
        document=document,
        created_at=call.now,
    )
    call.tx.policy_versions.put(version)
    if call.parameters.get("SetAsDefault"):
        policy = replace(policy, default_version=version.version_id)
    call.tx.managed_policies.put(replace(policy, latest_version=number, updated_at=call.now))
    # AWS: the document is not part of this answer.
    return {"PolicyVersion": version_result(policy, version, with_document=False)}


@operation("iam", "GetPolicyVersion", reads_only=True)
def get_policy_version(call: Call) -> Result:
    target = POLICIES.target(call)

    call.authorize(target.check(call, "GetPolicyVersion"))

    policy = target.existing()
    return {"PolicyVersion": version_result(policy, _version(call, policy))}


@operation("iam", "ListPolicyVersions", reads_only=True)
def list_policy_versions(call: Call) -> Result:
    """The newest first, as AWS lists them."""
    target = POLICIES.target(call)

    call.authorize(target.check(call, "ListPolicyVersions"))

    policy = target.existing()
    versions = call.tx.policy_versions.find(policy_arn=policy.arn)
    page = page_of(call, versions, key=lambda version: f"{10**8 - _number(version):09}")
    return {
        "Versions": [version_result(policy, version, with_document=False) for version in page.items],
        **page.result(),
    }


@operation("iam", "SetDefaultPolicyVersion", reads_only=False)
def set_default_policy_version(call: Call) -> Result:
    """Has another version be in force, for everyone to whom the policy is attached."""
    target = POLICIES.target(call)

    call.authorize(target.check(call, "SetDefaultPolicyVersion"))

    policy = unguarded(call, target)
    version = _version(call, policy)
    call.tx.managed_policies.put(replace(policy, default_version=version.version_id, updated_at=call.now))
    return {}


@operation("iam", "DeletePolicyVersion", reads_only=False)
def delete_policy_version(call: Call) -> Result:
    target = POLICIES.target(call)

    call.authorize(target.check(call, "DeletePolicyVersion"))

    policy = target.existing()
    version = _version(call, policy)
    if version.version_id == policy.default_version:
        raise ServiceError("DeleteConflict", "Cannot delete the default version of a policy.")
    call.tx.policy_versions.delete(policy.arn, version.version_id)
    return {}


def version_result(
    policy: ManagedPolicy, version: PolicyVersion, *, with_document: bool = True
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.version_id == policy.default_version,
        "CreateDate": version.created_at,
    }
    return {"Document": version.document, **result} if with_document else result


def _version(call: Call, policy: ManagedPolicy) -> PolicyVersion:
    version_id = call.parameters["VersionId"]
    version = call.tx.policy_versions.get(policy.arn, version_id)
    if version is None:
        raise ServiceError("NoSuchEntity", f"Policy {policy.arn} version {version_id} does not exist.")
    return version


def _number(version: PolicyVersion) -> int:
    return int(version.version_id.removeprefix("v"))
