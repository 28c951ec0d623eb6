"""What cannot be read, or is gone, denies everything in its place and says why."""

import json

import pytest

from hatchway.access.stored_policies import (
    TRUSTS_NOBODY,
    is_readable_trust_policy,
    missing_policy,
    stored_policy,
    stored_trust_policy,
)
from hatchway.iam import Outcome, PolicySet, Principal, Request, evaluate, evaluate_trust

ALLOW = {"Effect": "Allow", "Action": "*", "Resource": "*"}
REQUEST = Request("ec2:DescribeVpcs")
READABLE = json.dumps({"Version": "2012-10-17", "Statement": ALLOW})


def test_a_policy_that_can_be_read_is_what_its_document_says() -> None:
    policy = stored_policy(READABLE, "given")

    assert policy.name == "given"
    assert evaluate(REQUEST, PolicySet(identity=(policy,))).outcome is Outcome.ALLOWED


@pytest.mark.parametrize(
    ("document", "problem"),
    [("", "is not JSON"), (READABLE.replace('"Action"', '"NotPrincipal": "*", "Action"'), "NotPrincipal")],
)
def test_one_that_cannot_be_read_denies_everything_and_its_name_says_why(document: str, problem: str) -> None:
    policy = stored_policy(document, "given")

    assert policy.name.startswith("given (cannot be read: ")
    assert problem in policy.name
    denied = evaluate(
        Request("ec2:DescribeVpcs"), PolicySet(identity=(policy, stored_policy(READABLE, "ok")))
    )
    assert denied.outcome is Outcome.EXPLICIT_DENY
    assert [deciding.policy for deciding in denied.deciding] == [policy.name]


def test_of_a_long_problem_the_name_has_the_first_part() -> None:
    longest = len("given (cannot be read: )") + 300

    assert len(stored_policy(json.dumps({"Statement": {"x" * 5000: 1}}), "given").name) <= longest


def test_a_trust_policy_that_cannot_be_read_trusts_nobody_and_its_name_says_why() -> None:
    trusting = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    anyone = Principal("arn:aws:iam::123456789012:user/alice", "123456789012")
    good = stored_trust_policy(json.dumps({"Version": "2012-10-17", "Statement": trusting}), "trust")
    assert good.name == "trust" and evaluate_trust(good, anyone).allowed
    bad = stored_trust_policy(READABLE, "trust")
    assert bad.name.startswith("trust (cannot be read: Statement") and len(bad.name) < 400
    assert not evaluate_trust(bad, anyone).allowed
    assert not evaluate_trust(TRUSTS_NOBODY, anyone).allowed


def test_one_that_is_not_there_denies_everything_too() -> None:
    policy = missing_policy("arn:aws:iam::123456789012:policy/gone")

    assert policy.name == "arn:aws:iam::123456789012:policy/gone (is not there)"
    denied = evaluate(
        Request("ec2:DescribeVpcs"), PolicySet(identity=(policy, stored_policy(READABLE, "ok")))
    )
    assert denied.outcome is Outcome.EXPLICIT_DENY


def test_of_a_trust_policy_is_told_whether_it_can_be_read_and_trusts_somebody() -> None:
    trusting = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
    assert is_readable_trust_policy(json.dumps({"Version": "2012-10-17", "Statement": trusting}))
    assert not is_readable_trust_policy(json.dumps({"Version": "2012-10-17", "Statement": []}))
    assert not is_readable_trust_policy(READABLE)
