"""Managed policies and their versions, as boto3 knows them."""

import json
from typing import Any

from tests.control.harness import ARNS, World, refused

from hatchway.domain.identity import Guardrail


def document(action: str) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


def test_a_policy_is_made_found_listed_and_deleted(module_world: World) -> None:
    iam = module_world.client("iam")
    made = iam.create_policy(
        PolicyName="reader", Path="/team/", PolicyDocument=document("ec2:*"), Description="reads",
        Tags=[{"Key": "team", "Value": "web"}],
    )["Policy"]  # fmt: skip
    arn = made["Arn"]
    assert arn == "arn:aws:iam::123456789012:policy/team/reader"
    assert made["PolicyId"].startswith("ANPA") and made["DefaultVersionId"] == "v1"
    assert (made["AttachmentCount"], made["PermissionsBoundaryUsageCount"]) == (0, 0)
    assert made["IsAttachable"] is True
    assert iam.get_policy(PolicyArn=arn)["Policy"] == made
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    assert version["Document"] == json.loads(document("ec2:*")) and version["IsDefaultVersion"] is True
    iam.delete_policy(PolicyArn=arn)
    assert refused(lambda: iam.get_policy(PolicyArn=arn)) == ("NoSuchEntity", 404)
    with module_world.store.read() as tx:
        assert tx.policy_versions.count(policy_arn=arn) == 0


def test_policies_are_listed_by_scope_path_and_use(module_world: World) -> None:
    iam = module_world.client("iam")
    arns = {
        name: iam.create_policy(PolicyName=name, Path=path, PolicyDocument=document("ec2:*"))["Policy"]["Arn"]
        for name, path in (("z-attached", "/"), ("a-spare", "/team/"), ("m-bound", "/team/"))
    }
    iam.create_user(UserName="holder", PermissionsBoundary=arns["m-bound"])
    iam.attach_user_policy(UserName="holder", PolicyArn=arns["z-attached"])

    def listed(**parameters: Any) -> list[str]:
        pages = iam.get_paginator("list_policies").paginate(**parameters, PaginationConfig={"PageSize": 2})
        return [policy["PolicyName"] for page in pages for policy in page["Policies"]]

    assert listed() == listed(Scope="Local") == ["a-spare", "m-bound", "z-attached"]
    assert listed(Scope="AWS") == []
    assert listed(PathPrefix="/team/") == ["a-spare", "m-bound"]
    assert listed(OnlyAttached=True) == listed(PolicyUsageFilter="PermissionsPolicy") == ["z-attached"]
    assert listed(PolicyUsageFilter="PermissionsBoundary") == ["m-bound"]
    by_name = {policy["PolicyName"]: policy for policy in iam.list_policies()["Policies"]}
    assert by_name["z-attached"]["AttachmentCount"] == 1
    assert by_name["m-bound"]["PermissionsBoundaryUsageCount"] == 1
    assert refused(lambda: iam.delete_policy(PolicyArn=arns["m-bound"])) == ("DeleteConflict", 409)


def test_the_default_version_is_in_force_and_there_are_five_at_most(module_world: World) -> None:
    bob = module_world.user("bob")
    iam, ec2 = module_world.client("iam"), module_world.client("ec2", bob)
    arn = iam.create_policy(PolicyName="versioned", PolicyDocument=document("s3:*"))["Policy"]["Arn"]
    iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    second = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("ec2:*"))["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert ec2.describe_vpcs()["Vpcs"]
    third = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:*"), SetAsDefault=True)
    assert third["PolicyVersion"]["IsDefaultVersion"] is True
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    for _ in range(2):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:*"))

    def add() -> Any:
        return iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("s3:*"))

    assert refused(add) == ("LimitExceeded", 409)
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    assert add()["PolicyVersion"]["VersionId"] == "v6"
    # No number is given twice.
    iam.delete_policy_version(PolicyArn=arn, VersionId="v6")
    assert add()["PolicyVersion"]["VersionId"] == "v7"
    pages = iam.get_paginator("list_policy_versions").paginate(
        PolicyArn=arn, PaginationConfig={"PageSize": 2}
    )
    versions = [version for page in pages for version in page["Versions"]]
    assert [version["VersionId"] for version in versions] == ["v7", "v5", "v4", "v3", "v2"]
    assert [version["VersionId"] for version in versions if version["IsDefaultVersion"]] == ["v3"]


def test_a_policy_has_6144_characters_at_most_white_space_not_counted(module_world: World) -> None:
    iam = module_world.client("iam")
    iam.create_policy(PolicyName="spaced", PolicyDocument=document("ec2:*") + " " * 7000)
    too_large = refused(
        lambda: iam.create_policy(PolicyName="large", PolicyDocument=document("ec2:" + "x" * 6200))
    )
    assert too_large == ("LimitExceeded", 409)


def test_a_guardrail_is_not_changed_by_those_whom_it_binds(module_world: World) -> None:
    iam = module_world.client("iam")
    arn = ARNS.managed_policy("rail")
    iam.create_policy(PolicyName="rail", PolicyDocument=document("*"))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("ec2:*"))
    module_world.change(lambda tx: tx.guardrails.put(Guardrail(policy_arn=arn)))
    for call in (
        lambda: iam.create_policy_version(PolicyArn=arn, PolicyDocument=document("*"), SetAsDefault=True),
        lambda: iam.set_default_policy_version(PolicyArn=arn, VersionId="v2"),
        lambda: iam.delete_policy(PolicyArn=arn),
    ):
        assert refused(call) == ("UnmodifiableEntity", 400)
    module_world.change(lambda tx: tx.guardrails.delete(arn))
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
