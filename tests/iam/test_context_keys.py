"""The condition keys that a policy asks about."""

from typing import Any

from hatchway.iam import parse_policy
from hatchway.iam.context_keys import context_keys, statement_keys


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


def test_the_old_version_has_no_variables() -> None:
    assert context_keys(policy_of({"Resource": "arn:aws:s3:::${aws:username}"}, version="2008-10-17")) == ()


def test_a_statement_has_its_own_keys_only() -> None:
    policy = policy_of(
        {"Condition": {"StringEquals": {"ec2:osuser": "a"}}},
        {"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
    )
    assert statement_keys(policy, policy.statements[1]) == ("aws:SourceIp",)
