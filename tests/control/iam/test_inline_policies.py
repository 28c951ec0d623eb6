"""Inline policies of users, groups and roles, as boto3 knows them."""

import json

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import World, refused

DESCRIBE = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}


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
