"""Users, as boto3 knows them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ARNS, World, refused

from hatchway.domain.account import Quotas
from hatchway.domain.identity import (
    Attachment,
    Group,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
)

DESCRIBE = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}


def test_a_user_is_made_found_listed_and_deleted(world: World) -> None:
    iam = world.client("iam")
    made = iam.create_user(UserName="alice", Path="/staff/", Tags=[{"Key": "team", "Value": "web"}])["User"]
    assert made["Arn"] == "arn:aws:iam::123456789012:user/staff/alice"
    assert made["UserId"].startswith("AIDA") and len(made["UserId"]) == 21
    assert made["Tags"] == [{"Key": "team", "Value": "web"}]
    assert iam.get_user(UserName="alice")["User"] == made
    listed = {key: value for key, value in made.items() if key != "Tags"}
    assert iam.list_users()["Users"] == [listed]
    assert iam.list_users(PathPrefix="/other/")["Users"] == []
    iam.delete_user(UserName="alice")
    assert refused(lambda: iam.get_user(UserName="alice")) == ("NoSuchEntity", 404)


def test_no_more_users_are_made_than_the_account_s_quota_says(world: World) -> None:
    iam = world.client("iam")
    few = Quotas(users_per_account=1)
    world.change(lambda tx: tx.accounts.put(replace(tx.account(), quotas=few)))
    iam.create_user(UserName="alice")
    assert refused(lambda: iam.create_user(UserName="bob")) == ("LimitExceeded", 409)
    assert iam.get_account_summary()["SummaryMap"]["UsersQuota"] == 1
    world.change(lambda tx: tx.accounts.put(replace(tx.account(), quotas=replace(few, users_per_account=2))))
    iam.create_user(UserName="bob")


def test_without_a_name_a_user_acts_on_itself_and_on_nobody_else(world: World) -> None:
    own = {
        "Effect": "Allow",
        "Action": "iam:*",
        "Resource": "arn:aws:iam::123456789012:user/${aws:username}",
    }
    bob, carol = world.user("bob", own), world.user("carol")
    iam = world.client("iam", bob)
    assert iam.get_user()["User"]["UserName"] == "bob"
    key = iam.create_access_key()["AccessKey"]
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 2
    iam.delete_access_key(AccessKeyId=key["AccessKeyId"])
    for call in (
        lambda: iam.create_access_key(UserName="carol"),
        lambda: iam.get_user(UserName="carol"),
        lambda: iam.get_user(UserName="nobody"),
        lambda: iam.delete_access_key(UserName="carol", AccessKeyId=carol.access_key_id),
        iam.list_users,
    ):
        assert refused(call) == ("AccessDenied", 403)
    # Another's key is not told of even to one who guesses its id.
    assert refused(lambda: iam.delete_access_key(AccessKeyId=carol.access_key_id)) == ("NoSuchEntity", 404)
    root = world.client("iam").get_user()["User"]
    assert root["Arn"] == "arn:aws:iam::123456789012:root" and "UserName" not in root


def test_a_refusal_has_aws_s_sentence(world: World) -> None:
    with pytest.raises(ClientError) as caught:
        world.client("iam", world.user("bob")).get_user(UserName="bob")
    assert caught.value.response["Error"] == {
        "Type": "Sender",
        "Code": "AccessDenied",
        "Message": "User: arn:aws:iam::123456789012:user/bob is not authorized to perform: iam:GetUser on "
        "resource: arn:aws:iam::123456789012:user/bob because no identity-based policy allows the "
        f"iam:GetUser action (request id {caught.value.response['ResponseMetadata']['RequestId']})",
    }
    (event,) = world.events()
    assert "request id" not in event["errorMessage"]
    assert event["errorCode"] == "AccessDenied"
    assert event["additionalEventData"]["decision"]["checks"][0]["outcome"] == "implicitDeny"


def test_a_user_is_deleted_only_when_nothing_is_attached_to_it(world: World) -> None:
    bob = world.user("bob", DESCRIBE["Statement"])  # type: ignore[arg-type]
    arn = ARNS.managed_policy("reader")
    now = world.clock()
    with world.store.write() as tx:
        tx.groups.put(Group(name="ops", id="AGPAAAAAAAAAAAAAAAAAA", path="/", created_at=now))
        tx.memberships.put(Membership(user_name="bob", group_name="ops"))
        tx.managed_policies.put(
            ManagedPolicy(
                arn=arn,
                name="reader",
                id="ANPAAAAAAAAAAAAAAAAAA",
                path="/",
                description="",
                created_at=now,
                updated_at=now,
                default_version="v1",
            )
        )
        tx.policy_versions.put(
            PolicyVersion(policy_arn=arn, version_id="v1", document=json.dumps(DESCRIBE), created_at=now)
        )
        tx.attachments.put(Attachment(owner_kind=OwnerKind.USER, owner_name="bob", policy_arn=arn))
    iam = world.client("iam")
    ways: list[tuple[str, Callable[[], Any]]] = [
        ("remove users from group", lambda: world.change(lambda tx: tx.memberships.delete("bob", "ops"))),
        ("access keys", lambda: iam.delete_access_key(UserName="bob", AccessKeyId=bob.access_key_id)),
        ("delete policies", lambda: iam.delete_user_policy(UserName="bob", PolicyName="given")),
        ("detach all policies",
         lambda: world.change(lambda tx: tx.attachments.delete(OwnerKind.USER, "bob", arn))),
    ]  # fmt: skip
    for reason, remedy in ways:
        with pytest.raises(ClientError, match=reason) as caught:
            iam.delete_user(UserName="bob")
        assert caught.value.response["Error"]["Code"] == "DeleteConflict"
        remedy()
    iam.delete_user(UserName="bob")
    assert refused(lambda: iam.get_user(UserName="bob")) == ("NoSuchEntity", 404)


def test_lists_come_in_pages(world: World) -> None:
    iam = world.client("iam")
    names = [f"user-{number:02}" for number in range(7)]
    for name in reversed(names):
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert "Marker" not in pages[-1]


def test_a_marker_is_for_the_operation_that_gave_it_alone(world: World) -> None:
    iam = world.client("iam")
    for name in ("a-user", "b-user"):
        iam.create_user(UserName=name)
    marker = iam.list_users(MaxItems=1)["Marker"]
    assert iam.list_users(Marker=marker, MaxItems=1)["Users"][0]["UserName"] == "b-user"
    for other in (iam.list_groups, iam.list_roles, iam.get_account_authorization_details):
        with pytest.raises(ClientError, match="Invalid Marker: use one that this operation gave"):
            other(Marker=marker)
    # A version before named none, and may have given the page before.
    assert iam.list_users(Marker=marker.partition(".")[2], MaxItems=1)["Users"][0]["UserName"] == "b-user"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:ResourceTag/team": "web"}}, "ok"),
        ({"StringEquals": {"iam:ResourceTag/team": "web"}}, "ok"),
        ({"StringEquals": {"aws:ResourceTag/team": "db"}}, "AccessDenied"),
        ({"StringEquals": {"aws:PrincipalTag/role": "lead"}}, "ok"),
        ({"StringEquals": {"aws:username": "bob"}, "Bool": {"aws:SecureTransport": "true"}}, "ok"),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, "AccessDenied"),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, "ok"),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, "AccessDenied"),
        ({"StringLike": {"aws:UserAgent": "Boto3/*"}}, "ok"),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/bob"}}, "ok"),
    ],
)
def test_conditions_see_the_request_the_caller_and_the_user_acted_on(
    world: World, condition: Mapping[str, Any], expected: str
) -> None:
    world.user("carol", tags={"team": "web"})
    statement = {"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*", "Condition": condition}
    iam = world.client("iam", world.user("bob", statement, tags={"role": "lead"}))
    got = "ok"
    try:
        iam.get_user(UserName="carol")
    except ClientError as error:
        got = error.response["Error"]["Code"]
    assert got == expected
