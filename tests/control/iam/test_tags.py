"""Tags of users, roles and managed policies, as boto3 knows them."""

import json
from typing import Any

import pytest
from tests.control.harness import ARNS, World, refused

EC2 = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
)
TRUST = json.dumps({
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
})  # fmt: skip
TAGGED = {
    "user": {"UserName": "bob"},
    "role": {"RoleName": "deploy"},
    "policy": {"PolicyArn": ARNS.managed_policy("reader")},
}


@pytest.fixture(scope="module")
def iam(module_world: World) -> Any:
    iam = module_world.client("iam")
    iam.create_user(UserName="bob")
    iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=TRUST)
    iam.create_policy(PolicyName="reader", PolicyDocument=EC2)
    return iam


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.mark.parametrize("kind", TAGGED)
def test_tags_are_added_replaced_listed_in_pages_and_taken_away(iam: Any, kind: str) -> None:
    named = TAGGED[kind]
    tag, untag = getattr(iam, f"tag_{kind}"), getattr(iam, f"untag_{kind}")

    def tags() -> dict[str, str]:
        pages = iam.get_paginator(f"list_{kind}_tags").paginate(**named, PaginationConfig={"PageSize": 2})
        return {each["Key"]: each["Value"] for page in pages for each in page["Tags"]}

    tag(**named, Tags=tag_list({"team": "web", "env": "dev", "x": ""}))
    tag(**named, Tags=tag_list({"Team": "db"}))
    assert tags() == {"Team": "db", "env": "dev", "x": ""}
    untag(**named, TagKeys=["TEAM", "nothing"])
    assert tags() == {"env": "dev", "x": ""}
    found = getattr(iam, f"get_{kind}")(**named)[kind.capitalize()]
    assert found["Tags"] == tag_list({"env": "dev", "x": ""})
    tag(**named, Tags=tag_list({f"k{number}": "" for number in range(48)}))
    assert refused(lambda: tag(**named, Tags=tag_list({"one-more": ""}))) == ("LimitExceeded", 409)
    untag(**named, TagKeys=[f"k{number}" for number in range(48)])


def test_policies_see_the_tags_asked_for_and_those_that_are_there(module_world: World, iam: Any) -> None:
    tagger = module_world.user(
        "tagger",
        {
            "Effect": "Allow",
            "Action": ["iam:TagUser", "iam:UntagUser"],
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"aws:TagKeys": ["color"]},
                "StringEquals": {"aws:ResourceTag/team": "web"},
            },
        },
    )
    his = module_world.client("iam", tagger)
    denied = ("AccessDenied", 403)
    iam.create_user(UserName="carol")
    assert refused(lambda: his.tag_user(UserName="carol", Tags=tag_list({"color": "red"}))) == denied
    iam.tag_user(UserName="carol", Tags=tag_list({"team": "web"}))
    his.tag_user(UserName="carol", Tags=tag_list({"color": "red"}))
    assert refused(lambda: his.tag_user(UserName="carol", Tags=tag_list({"team": "db"}))) == denied
    assert refused(lambda: his.untag_user(UserName="carol", TagKeys=["team"])) == denied
    his.untag_user(UserName="carol", TagKeys=["color"])


def test_whoever_may_not_tag_makes_nothing_with_tags_either(module_world: World, iam: Any) -> None:
    maker = module_world.user(
        "maker",
        {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "iam:Tag*", "Resource": "*"},
    )
    his, tags = module_world.client("iam", maker), tag_list({"team": "admin"})
    for make, named in (
        (his.create_user, {"UserName": "made"}),
        (his.create_role, {"RoleName": "made", "AssumeRolePolicyDocument": TRUST}),
        (his.create_policy, {"PolicyName": "made", "PolicyDocument": EC2}),
    ):
        assert refused(lambda make=make, named=named: make(**named, Tags=tags)) == ("AccessDenied", 403)  # type: ignore[misc]
        make(**named)
