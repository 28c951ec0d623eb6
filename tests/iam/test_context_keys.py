"""The condition keys that a policy asks about."""

from typing import Any

from hatchway.iam import PolicyKind, PolicySet, Request, parse_policy
from hatchway.iam.context_keys import action_keys, context_keys, missing_keys, reads_any, statement_keys


def policy_of(*statements: dict[str, Any], version: str = "2012-10-17") -> Any:
    whole = [{"Effect": "Allow", "Action": "a:B", "Resource": "*"} | statement for statement in statements]
    return parse_policy({"Version": version, "Statement": whole})


def test_keys_of_conditions_come_in_the_order_of_the_document() -> None:
    policy = policy_of(
        {"Condition": {"StringEquals": {"ec2:osuser": "a"}, "Null": {"aws:ResourceTag/env": "false"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    )
    assert context_keys(policy) == ("ec2:osuser", "aws:ResourceTag/env", "aws:SourceIp")


def test_keys_of_variables_are_keys_too() -> None:
    policy = policy_of(
        {
            "Resource": "arn:aws:s3:::b/${aws:username}/${aws:PrincipalTag/team, 'none'}/${*}${$}",
            "Condition": {"StringLike": {"s3:prefix": "${aws:userid}/*"}},
        }
    )
    assert context_keys(policy) == ("aws:username", "aws:PrincipalTag/team", "s3:prefix", "aws:userid")


def test_a_key_in_two_spellings_is_one_key() -> None:
    policy = policy_of(
        {"Condition": {"StringEquals": {"EC2:OsUser": "a"}, "StringLike": {"ec2:osuser": "a*"}}}
    )
    assert context_keys(policy) == ("EC2:OsUser",)


def test_a_key_is_the_same_by_its_lower_case_as_a_requests_keys_are() -> None:
    tags = {"aws:ResourceTag/maß": "a", "aws:ResourceTag/MASS": "b"}
    assert context_keys(policy_of({"Condition": {"StringEquals": tags}})) == tuple(tags)


def test_the_old_version_has_no_variables() -> None:
    statement = {
        "Resource": "arn:aws:s3:::${aws:username}",
        "Condition": {"StringEquals": {"x:Y": "${aws:userid}"}},
    }
    assert context_keys(policy_of(statement, version="2008-10-17")) == ("x:Y",)


def test_a_statement_has_its_own_keys_only() -> None:
    policy = policy_of(
        {"Condition": {"StringEquals": {"ec2:osuser": "a"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    )
    assert statement_keys(policy, policy.statements[1]) == ("aws:SourceIp",)


def test_a_trust_policy_asks_by_its_conditions_alone() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": "*",
        "Condition": {"StringEquals": {"sts:ExternalId": "${aws:userid}"}},
    }
    policy = parse_policy({"Version": "2012-10-17", "Statement": statement}, kind=PolicyKind.TRUST)
    assert context_keys(policy) == ("sts:ExternalId", "aws:userid")


def test_an_action_asks_what_the_statements_on_it_ask() -> None:
    policy = policy_of(
        {"Condition": {"StringEquals": {"ec2:osuser": "a"}}},
        {"Action": "a:*", "Condition": {"Bool": {"aws:SecureTransport": "true", "EC2:OsUser": "true"}}},
        {"Action": "a:C", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    )
    policies = PolicySet((policy,))
    assert action_keys("a:B", policies) == ("ec2:osuser", "aws:SecureTransport")
    assert action_keys("a:C", policies) == ("aws:SecureTransport", "EC2:OsUser", "aws:SourceIp")
    assert action_keys("b:C", policies) == ()


def test_a_key_is_missing_when_the_request_has_no_value_for_it() -> None:
    policies = PolicySet(
        (policy_of({"Condition": {"Bool": {"aws:SecureTransport": "true", "x:Y": "true"}}}),)
    )
    assert missing_keys(Request("a:B"), policies) == ("aws:SecureTransport", "x:Y")
    request = Request("a:B", context={"AWS:securetransport": "true", "x:Y": ()})
    assert missing_keys(request, policies) == ("x:Y",)
    assert missing_keys(Request("b:B"), policies) == ()


def test_what_a_statement_reads_is_known_by_its_conditions_and_by_all_of_its_variables() -> None:
    timed = {"aws:currenttime"}
    for statement, reads in (
        ({"Condition": {"DateLessThan": {"AWS:currentTime": "2026-01-01T00:00:00Z"}}}, True),
        ({"Condition": {"StringLike": {"a:c": "${ aws:CurrentTime , 'never'}*"}}}, True),
        ({"Condition": {"StringLike": {"a:c": "aws:CurrentTime"}}}, False),
        ({"Resource": "arn:aws:s3:::b/${aws:CurrentTime}"}, True),
        ({"Resource": "arn:aws:s3:::b/aws:CurrentTime"}, False),
        ({"Action": "a:C", "Condition": {"Null": {"aws:CurrentTime": "true"}}}, False),
        ({"Effect": "Deny", "Action": "a:*", "Condition": {"Null": {"aws:CurrentTime": "true"}}}, True),
    ):
        assert reads_any("a:B", PolicySet(identity=(policy_of(statement),)), timed) is reads
