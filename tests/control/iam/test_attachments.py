"""Managed policies attached to users, groups and roles, as boto3 knows them."""

import json
from typing import Any

import pytest
from tests.control.harness import ARNS, World, refused

DOCUMENT = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
)
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
})  # fmt: skip
OWNERS = {"user": {"UserName": "bob"}, "group": {"GroupName": "ops"}, "role": {"RoleName": "deploy"}}


@pytest.fixture(scope="module")
def iam(module_world: World) -> Any:
    iam = module_world.client("iam")
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="ops", Path="/team/")
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=TRUST)
    for number in range(11):
        iam.create_policy(PolicyName=f"p{number:02}", PolicyDocument=DOCUMENT)
    iam.create_policy(PolicyName="of-team", Path="/team/", PolicyDocument=DOCUMENT)
    return iam


@pytest.mark.parametrize("kind", OWNERS)
def test_policies_are_attached_listed_in_pages_and_detached(iam: Any, kind: str) -> None:
    owner = OWNERS[kind]
    attach, detach = getattr(iam, f"attach_{kind}_policy"), getattr(iam, f"detach_{kind}_policy")
    arns = [ARNS.managed_policy(f"p{number:02}") for number in range(9)]
    of_team = ARNS.managed_policy("of-team", "/team/")
    for arn in (*reversed(arns), of_team, of_team):
        attach(**owner, PolicyArn=arn)
    pages = list(
        iam.get_paginator(f"list_attached_{kind}_policies").paginate(
            **owner, PaginationConfig={"PageSize": 4}
        )
    )
    attached = [policy for page in pages for policy in page["AttachedPolicies"]]
    assert [policy["PolicyArn"] for policy in attached] == [of_team, *arns]
    assert attached[0]["PolicyName"] == "of-team"
    under_team = getattr(iam, f"list_attached_{kind}_policies")(**owner, PathPrefix="/team/")
    assert [policy["PolicyName"] for policy in under_team["AttachedPolicies"]] == ["of-team"]
    eleventh = ARNS.managed_policy("p10")
    assert refused(lambda: attach(**owner, PolicyArn=eleventh)) == ("LimitExceeded", 409)
    delete = getattr(iam, f"delete_{kind}")
    assert refused(lambda: delete(**owner)) == ("DeleteConflict", 409)
    for arn in (*arns, of_team):
        detach(**owner, PolicyArn=arn)
    assert refused(lambda: detach(**owner, PolicyArn=of_team)) == ("NoSuchEntity", 404)


def test_who_uses_a_policy_is_listed_by_kind_path_and_way(iam: Any) -> None:
    arn = ARNS.managed_policy("p00")
    iam.attach_group_policy(GroupName="ops", PolicyArn=arn)
    iam.attach_role_policy(RoleName="deploy", PolicyArn=arn)
    for name in ("carol", "dan"):
        iam.create_user(UserName=name)
        iam.attach_user_policy(UserName=name, PolicyArn=arn)
    iam.create_user(UserName="eve", PermissionsBoundary=arn)

    def entities(**parameters: Any) -> list[str]:
        pages = iam.get_paginator("list_entities_for_policy").paginate(
            PolicyArn=arn, PaginationConfig={"PageSize": 2}, **parameters
        )
        return [
            entity[f"{kind}Name"]
            for page in pages
            for kind in ("Group", "User", "Role")
            for entity in page[f"Policy{kind}s"]
        ]

    assert entities() == ["ops", "carol", "dan", "eve", "deploy"]
    assert entities(EntityFilter="User") == ["carol", "dan", "eve"]
    assert entities(EntityFilter="LocalManagedPolicy") == []
    assert entities(PathPrefix="/team/") == ["ops"]
    assert entities(PolicyUsageFilter="PermissionsBoundary") == ["eve"]
    assert entities(PolicyUsageFilter="PermissionsPolicy") == ["ops", "carol", "dan", "deploy"]
    role = iam.list_entities_for_policy(PolicyArn=arn, EntityFilter="Role")["PolicyRoles"][0]
    assert role["RoleId"].startswith("AROA")
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (4, 1)
