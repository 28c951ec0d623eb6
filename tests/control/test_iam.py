"""Users, access keys, inline policies and roles, as boto3's users know them."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import ARNS, Credentials, World

from hatchway.audit.key_uses import KeyUses
from hatchway.domain.identity import (
    Attachment,
    Group,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
)

DESCRIBE = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
EC2_INSTANCE_CONNECT = "ec2-instance-connect.amazonaws.com"


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


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


@pytest.mark.parametrize(
    ("operation", "parameters", "expected"),
    [
        ("create_user", {"UserName": "bob"}, ("EntityAlreadyExists", 409)),
        ("create_user", {"UserName": "BOB"}, ("EntityAlreadyExists", 409)),
        ("create_user", {"UserName": "b b"}, ("ValidationError", 400)),
        ("create_user", {"UserName": "x" * 65}, ("ValidationError", 400)),
        ("create_user", {"UserName": "x", "Path": "staff"}, ("ValidationError", 400)),
        ("create_user", {"UserName": "x", "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]},
         ("InvalidInput", 400)),
        ("create_user", {"UserName": "x", "Tags": [{"Key": "aws:a", "Value": ""}]}, ("InvalidInput", 400)),
        ("create_user", {"UserName": "x", "PermissionsBoundary": ARNS.managed_policy("nope")},
         ("NoSuchEntity", 404)),
        ("get_user", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("delete_user", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("create_access_key", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("list_access_keys", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("update_access_key", {"UserName": "bob", "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA", "Status": "Active"},
         ("NoSuchEntity", 404)),
        ("update_access_key", {"UserName": "bob", "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA", "Status": "Expired"},
         ("ValidationError", 400)),
        ("delete_access_key", {"UserName": "bob", "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"},
         ("NoSuchEntity", 404)),
        ("put_user_policy", {"UserName": "nobody", "PolicyName": "p", "PolicyDocument": json.dumps(DESCRIBE)},
         ("NoSuchEntity", 404)),
        ("put_user_policy", {"UserName": "bob", "PolicyName": "p", "PolicyDocument": "{"},
         ("MalformedPolicyDocument", 400)),
        ("put_user_policy", {"UserName": "bob", "PolicyName": "p/q", "PolicyDocument": json.dumps(DESCRIBE)},
         ("ValidationError", 400)),
        ("get_user_policy", {"UserName": "bob", "PolicyName": "p"}, ("NoSuchEntity", 404)),
        ("delete_user_policy", {"UserName": "bob", "PolicyName": "p"}, ("NoSuchEntity", 404)),
        ("list_user_policies", {"UserName": "nobody"}, ("NoSuchEntity", 404)),
        ("list_users", {"Marker": "é"}, ("ValidationError", 400)),
        ("list_users", {"Marker": "no marker"}, ("ValidationError", 400)),
        ("list_users", {"MaxItems": 1001}, ("ValidationError", 400)),
        ("get_role", {"RoleName": "nope"}, ("NoSuchEntity", 404)),
        ("create_service_linked_role", {"AWSServiceName": "s3.amazonaws.com"}, ("InvalidInput", 400)),
        ("create_service_linked_role", {"AWSServiceName": EC2_INSTANCE_CONNECT, "CustomSuffix": "x"},
         ("InvalidInput", 400)),
    ],
)  # fmt: skip
def test_what_iam_cannot_do_it_refuses_with_aws_s_codes(
    world: World, operation: str, parameters: dict[str, Any], expected: tuple[str, int]
) -> None:
    world.user("bob")
    call = getattr(world.client("iam", parameter_validation=False), operation)
    before = world.store.revision()
    assert refused(lambda: call(**parameters)) == expected
    assert world.store.revision() == before
    assert world.events()[-1]["errorCode"] == expected[0]


def test_a_malformed_policy_s_place_is_named(world: World) -> None:
    world.user("bob")
    statement = {**DESCRIBE["Statement"], "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}}  # type: ignore[dict-item]
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with pytest.raises(ClientError, match=r"Statement\[0\]\.Condition\.IpAddress\.aws:SourceIp"):
        world.client("iam").put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=document)


def test_inline_policies_share_one_quota(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")

    def put(name: str, actions: int) -> None:
        statement = {"Effect": "Allow", "Action": ["ec2:DescribeVpcs"] * actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=8)
        iam.put_user_policy(UserName="bob", PolicyName=name, PolicyDocument=document)

    put("first", 60)
    assert refused(lambda: put("second", 60)) == ("LimitExceeded", 409)
    put("second", 20)
    put("first", 70)
    assert refused(lambda: put("first", 90)) == ("LimitExceeded", 409)


def test_a_policy_is_read_as_it_was_written(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    document = {
        **DESCRIBE,
        "Statement": {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:ec2:*:*:subnet/ä & <b> %25+"},
    }
    for name in ("beta", "alpha"):
        iam.put_user_policy(UserName="bob", PolicyName=name, PolicyDocument=json.dumps(document))
    assert iam.get_user_policy(UserName="bob", PolicyName="alpha")["PolicyDocument"] == document
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == ["alpha", "beta"]
    iam.delete_user_policy(UserName="bob", PolicyName="alpha")
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == ["beta"]
    event = world.events("PutUserPolicy")[0]
    assert json.loads(event["requestParameters"]["policyDocument"]) == document
    assert event["resources"][0]["ARN"] == "arn:aws:iam::123456789012:user/bob"


def test_a_policy_counts_from_the_next_call_on(world: World) -> None:
    bob = world.user("bob")
    iam, ec2 = world.client("iam"), world.client("ec2", bob)
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=json.dumps(DESCRIBE))
    assert ec2.describe_vpcs()["Vpcs"]
    iam.delete_user_policy(UserName="bob", PolicyName="p")
    assert refused(ec2.describe_vpcs)[0] == "UnauthorizedOperation"


def test_an_access_key_works_until_it_is_inactive_or_gone(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    assert key["UserName"] == "bob" and key["Status"] == "Active"
    assert len(key["AccessKeyId"]) == 20 and len(key["SecretAccessKey"]) == 40
    sts = world.client("sts", Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    assert sts.get_caller_identity()["Arn"].endswith(":user/bob")

    about = {"UserName": "bob", "AccessKeyId": key["AccessKeyId"]}
    iam.update_access_key(**about, Status="Inactive")
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    iam.update_access_key(**about, Status="Active")
    sts.get_caller_identity()
    iam.delete_access_key(**about)
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    with world.store.read() as tx:
        assert tx.sealed_secrets.get(key["AccessKeyId"]) is None
        assert tx.sealed_signing_keys.find(access_key_id=key["AccessKeyId"]) == []


def test_a_secret_is_told_once_and_recorded_nowhere(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    world.user("bob")
    key = world.client("iam").create_access_key(UserName="bob")["AccessKey"]
    (event,) = world.events("CreateAccessKey")
    told = event["responseElements"]["accessKey"]
    assert set(told) == {"userName", "accessKeyId", "status", "createDate"}
    assert key["SecretAccessKey"] not in json.dumps(world.events())
    output = capfd.readouterr()
    assert key["AccessKeyId"] not in output.out or key["SecretAccessKey"] not in output.out
    assert key["SecretAccessKey"] not in output.err


def test_a_user_has_at_most_two_keys_and_so_has_the_root_user(world: World) -> None:
    world.user("bob")
    iam = world.client("iam")
    iam.create_access_key(UserName="bob")
    assert refused(lambda: iam.create_access_key(UserName="bob")) == ("LimitExceeded", 409)
    second = iam.create_access_key()["AccessKey"]
    assert "UserName" not in second
    assert refused(iam.create_access_key) == ("LimitExceeded", 409)
    listed = iam.list_access_keys()["AccessKeyMetadata"]
    assert {key["AccessKeyId"] for key in listed} == {world.root.access_key_id, second["AccessKeyId"]}
    iam.delete_access_key(AccessKeyId=second["AccessKeyId"])
    assert len(iam.list_access_keys()["AccessKeyMetadata"]) == 1


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


def test_when_a_key_was_last_used_is_told_to_who_may_know_of_its_user(world: World) -> None:
    own = {"Effect": "Allow", "Action": "iam:GetAccessKeyLastUsed", "Resource": ARNS.user("bob")}
    bob, carol = world.user("bob", own), world.user("carol")
    iam = world.client("iam", bob)
    never = iam.get_access_key_last_used(AccessKeyId=bob.access_key_id)
    assert never["UserName"] == "bob"
    assert never["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    KeyUses(world.store, world.clock).note()
    used = iam.get_access_key_last_used(AccessKeyId=bob.access_key_id)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("iam", "us-east-1")
    event = world.events("GetAccessKeyLastUsed")[0]
    assert used["LastUsedDate"].strftime("%Y-%m-%dT%H:%M:%SZ") == event["eventTime"]

    # A stranger's key and no key at all are answered alike.
    answers = set()
    for key_id in (carol.access_key_id, world.root.access_key_id, "AKIAAAAAAAAAAAAAAAAA"):
        with pytest.raises(ClientError) as caught:
            iam.get_access_key_last_used(AccessKeyId=key_id)
        said = str(caught.value).replace(key_id, "KEY")
        answers.add(said.replace(caught.value.response["ResponseMetadata"]["RequestId"], "ID"))
    assert len(answers) == 1
    assert "AccessDenied" in answers.pop()

    all_keys = {"Effect": "Allow", "Action": "iam:GetAccessKeyLastUsed", "Resource": "*"}
    but_carols = {"Effect": "Deny", "Action": "iam:GetAccessKeyLastUsed", "Resource": ARNS.user("carol")}
    world.allow("bob", all_keys, but_carols)
    for key_id in (carol.access_key_id, "AKIAAAAAAAAAAAAAAAAA"):
        assert refused(partial(iam.get_access_key_last_used, AccessKeyId=key_id)) == ("NoSuchEntity", 404)
    roots = iam.get_access_key_last_used(AccessKeyId=world.root.access_key_id)
    assert "UserName" not in roots


def test_lists_come_in_pages(world: World) -> None:
    iam = world.client("iam")
    names = [f"user-{number:02}" for number in range(7)]
    for name in reversed(names):
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 3}))
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert "Marker" not in pages[-1]


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


def test_the_service_linked_role_can_be_made_by_itself_and_once(world: World) -> None:
    iam = world.client("iam")
    made = iam.create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT, Description="for endpoints")
    name = made["Role"]["RoleName"]
    found = iam.get_role(RoleName=name)["Role"]
    assert found == made["Role"]
    assert found["Arn"] == (
        f"arn:aws:iam::123456789012:role/aws-service-role/{EC2_INSTANCE_CONNECT}/"
        "AWSServiceRoleForEC2InstanceConnect"
    )
    again = refused(lambda: iam.create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT))
    assert again == ("InvalidInput", 400)
    bob = world.user("bob", {
        "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole", "Resource": "*",
        "Condition": {"StringEquals": {"iam:AWSServiceName": "s3.amazonaws.com"}},
    })  # fmt: skip
    denied = refused(
        lambda: world.client("iam", bob).create_service_linked_role(AWSServiceName=EC2_INSTANCE_CONNECT)
    )
    assert denied == ("AccessDenied", 403)
