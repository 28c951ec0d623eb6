"""GetAccountAuthorizationDetails, as boto3 knows it."""

import json
from typing import Any

import pytest
from tests.control.harness import ARNS, World

EC2 = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
TRUST = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
}
READER = ARNS.managed_policy("reader")


def test_all_identities_and_policies_are_told_with_their_relations_in_pages(world: World) -> None:
    iam = world.client("iam")
    document = json.dumps(EC2)
    iam.create_policy(PolicyName="reader", PolicyDocument=document)
    iam.create_group(GroupName="ops")
    iam.put_group_policy(GroupName="ops", PolicyName="own", PolicyDocument=document)
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=json.dumps(TRUST), Description="for CI")
    iam.attach_role_policy(RoleName="deploy", PolicyArn=READER)
    for name in ("alice", "bob"):
        iam.create_user(UserName=name, Tags=[{"Key": "a", "Value": "b"}], PermissionsBoundary=READER)
        iam.add_user_to_group(GroupName="ops", UserName=name)
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=document)

    def details(**parameters: Any) -> dict[str, list[Any]]:
        pages = iam.get_paginator("get_account_authorization_details").paginate(
            **parameters, PaginationConfig={"PageSize": 2}
        )
        found: dict[str, list[Any]] = {}
        for page in pages:
            for member in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"):
                found.setdefault(member, []).extend(page[member])
        return found

    every = details()
    alice, bob = every["UserDetailList"]
    assert (alice["UserName"], alice["UserPolicyList"], alice["GroupList"]) == ("alice", [], ["ops"])
    assert bob["UserPolicyList"] == [{"PolicyName": "own", "PolicyDocument": EC2}]
    assert bob["PermissionsBoundary"]["PermissionsBoundaryArn"] == READER
    assert bob["Tags"] == [{"Key": "a", "Value": "b"}]
    (group,) = every["GroupDetailList"]
    assert group["GroupPolicyList"] == [{"PolicyName": "own", "PolicyDocument": EC2}]
    (role,) = every["RoleDetailList"]
    assert role["AttachedManagedPolicies"] == [{"PolicyName": "reader", "PolicyArn": READER}]
    assert role["AssumeRolePolicyDocument"] == TRUST and role["RolePolicyList"] == []
    (policy,) = every["Policies"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (1, 2)
    (version,) = policy["PolicyVersionList"]
    assert (version["VersionId"], version["Document"]) == ("v1", EC2)

    only_roles = details(Filter=["Role", "AWSManagedPolicy"])
    assert {member: len(found) for member, found in only_roles.items()} == {
        "UserDetailList": 0, "GroupDetailList": 0, "RoleDetailList": 1, "Policies": 0,
    }  # fmt: skip


def test_a_page_ends_where_its_documents_would_be_too_many_and_has_one_thing_at_least(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam = world.client("iam")
    document = json.dumps(EC2)
    for number in range(3):
        iam.create_policy(PolicyName=f"p{number}", PolicyDocument=document)
        iam.create_policy_version(PolicyArn=ARNS.managed_policy(f"p{number}"), PolicyDocument=document)
        iam.create_user(UserName=f"u{number}")
        iam.put_user_policy(UserName=f"u{number}", PolicyName="own", PolicyDocument=document)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST))

    def pages() -> list[list[str]]:
        each = iam.get_paginator("get_account_authorization_details").paginate()
        return [
            [
                thing.get("UserName") or thing.get("RoleName") or thing["PolicyName"]
                for member in ("UserDetailList", "RoleDetailList", "Policies")
                for thing in page[member]
            ]
            for page in each
        ]

    def bound(characters: int) -> None:
        monkeypatch.setattr("hatchway.control.iam.paging.MOST_CHARACTERS", characters)

    assert len(pages()) == 1
    bound(2 * len(document))
    assert pages() == [["u0", "u1"], ["u2"], ["r"], ["p0"], ["p1"], ["p2"]]
    bound(0)
    assert pages() == [["u0"], ["u1"], ["u2"], ["r"], ["p0"], ["p1"], ["p2"]]
