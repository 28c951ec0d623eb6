"""Actions and resources: wildcards, segments, variables, complements, and no pattern that is slow."""

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.iam import Outcome, PolicySet, Request, decide, evaluate, parse_policy
from hatchway.iam.patterns import glob, tokenise

SUBNET = "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1"


def allows(
    element: dict[str, Any],
    *,
    action: str = "ec2:CreateTags",
    resource: str = SUBNET,
    context: dict[str, str | tuple[str, ...]] | None = None,
    version: str = "2012-10-17",
) -> bool:
    """Whether a statement with these elements, and everything else wide open, applies."""
    action_part = {} if {"Action", "NotAction"} & element.keys() else {"Action": "*"}
    resource_part = {} if {"Resource", "NotResource"} & element.keys() else {"Resource": "*"}
    statement = {"Effect": "Allow"} | action_part | resource_part | element
    policies = PolicySet(identity=(parse_policy({"Version": version, "Statement": statement}),))
    return decide(Request(action, resource, context or {}), policies) is Outcome.ALLOWED


@pytest.mark.parametrize(
    ("pattern", "action", "expected"),
    [
        ("ec2:CreateTags", "ec2:CreateTags", True),
        ("EC2:createtags", "ec2:CreateTags", True),
        ("ec2:CreateTags", "EC2:CREATETAGS", True),
        ("ec2:Create*", "ec2:CreateTags", True),
        ("ec2:*Tags", "ec2:CreateTags", True),
        ("ec2:C*e*s", "ec2:CreateTags", True),
        ("ec2:Create????", "ec2:CreateTags", True),
        ("ec2:Create???", "ec2:CreateTags", False),
        ("ec2:CreateTags?", "ec2:CreateTags", False),
        ("ec2:CreateTags*", "ec2:CreateTags", True),
        ("ec2:CreateTag", "ec2:CreateTags", False),
        ("*:CreateTags", "ec2:CreateTags", True),
        ("ec2*:*", "ec2-instance-connect:OpenTunnel", True),
        ("ec2:*", "ec2-instance-connect:OpenTunnel", False),
        ("*", "ec2-instance-connect:OpenTunnel", True),
    ],
)
def test_an_action_matches_whatever_its_case(pattern: str, action: str, expected: bool) -> None:
    assert allows({"Action": pattern}, action=action) is expected
    assert allows({"NotAction": pattern}, action=action) is not expected


RESOURCES = [
    ("*", SUBNET, True),
    (SUBNET, SUBNET, True),
    (SUBNET, SUBNET.upper(), False),
    ("arn:aws:ec2:us-east-1:123456789012:subnet/*", SUBNET, True),
    ("arn:aws:ec2:us-east-1:123456789012:*", SUBNET, True),
    ("arn:aws:ec2:us-east-?:123456789012:subnet/subnet-?", SUBNET, True),
    ("arn:aws:ec2:us-*:*:subnet/*", SUBNET, True),
    ("arn:aws:ec2:*:subnet/*:x", SUBNET, False),
    ("arn:aws:ec2:us*12:subnet/subnet-1:x:y", SUBNET, False),
    ("arn:aws:ec2:*:*:*", SUBNET, True),
    ("arn:*:*:*:*:*", SUBNET, True),
    ("arn:aws:ec2:::subnet/*", SUBNET, True),
    ("arn:aws:ec2::123456789012:subnet/*", SUBNET, True),
    ("arn:aws:ec2:us-east-1::subnet/*", SUBNET, True),
    ("arn:aws:ec2:eu-west-1::subnet/*", SUBNET, False),
    ("arn:aws:ec2:::security-group/*", SUBNET, False),
    ("arn:aws:ec?:::subnet/*", SUBNET, False),
    ("arn:aws:iam:::user/alice", "arn:aws:iam::123456789012:user/alice", False),
    ("arn:aws:iam::123456789012:user/alice", "arn:aws:iam::123456789012:user/alice", True),
    ("arn:aws:iam:*:123456789012:user/alice", "arn:aws:iam::123456789012:user/alice", True),
    ("arn:aws:logs:*:*:log-group:a:*", "arn:aws:logs:us-east-1:123456789012:log-group:a:b:c", True),
    ("arn:aws:s3:::a/*/c", "arn:aws:s3:::a/b/b/c", True),
    ("arn:aws:s3:::a/*/c", "arn:aws:s3:::a/c", False),
    ("arn:aws:ec2", SUBNET, True),
    ("arn:aws", SUBNET, True),
    ("arn:aws:ec2:us-east-1", SUBNET, True),
    ("arn:aws:ec2:us-*:*", SUBNET, True),
    ("arn:aws:ec2:us-west-1", SUBNET, False),
    ("arn:aws:ec2:*:999999999999", SUBNET, False),
    ("arn:aws:ec", SUBNET, False),
    ("arn:aws:ec*", SUBNET, True),
    ("arn:aws:ec2", "arn:aws:ec2-instance-connect:r:a:x", False),
    ("arn:aws:iam", "arn:aws:iam::123456789012:user/alice", True),
    ("arn:aws:ec2", "*", False),
    ("*", "*", True),
    ("arn:*:*:*:*:*", "*", False),
    ("arn:aws:ec2:us-east-1:123456789012:subnet/*", "*", False),
    ("arn:aws:ec2:us-east-1:123456789012:subnet/*", "subnet/subnet-1", False),
    ("*", "no ARN at all", True),
]


@pytest.mark.parametrize(("pattern", "resource", "expected"), RESOURCES)
def test_a_resource_matches_segment_by_segment(pattern: str, resource: str, expected: bool) -> None:
    assert allows({"Resource": pattern}, resource=resource) is expected
    assert allows({"Resource": ["arn:aws:none:::none", pattern]}, resource=resource) is expected


@pytest.mark.parametrize(("pattern", "resource", "expected"), RESOURCES)
def test_not_resource_is_the_complement(pattern: str, resource: str, expected: bool) -> None:
    assert allows({"NotResource": pattern}, resource=resource) is not expected


def test_an_empty_region_of_another_service_matches_only_an_empty_one() -> None:
    assert not allows(
        {"Resource": "arn:aws:ec2-instance-connect:::x/*"}, resource="arn:aws:ec2-instance-connect:r:a:x/1"
    )


HOME = "arn:aws:s3:::homes/"


@pytest.mark.parametrize(
    ("element", "resource", "expected"),
    [
        ({"Resource": HOME + "${aws:username}/*"}, HOME + "al*ce/file", True),
        ({"Resource": HOME + "${aws:username}/*"}, HOME + "alice/file", False),
        ({"Resource": HOME + "${aws:username}"}, HOME + "al*ce", True),
        ({"Resource": HOME + "${aws:PrincipalTag/team}/*"}, HOME + "x/file", False),
        ({"Resource": HOME + "${aws:PrincipalTag/team, 'none'}/*"}, HOME + "none/file", True),
        ({"Resource": [HOME + "${aws:PrincipalTag/team}/*", HOME + "x/*"]}, HOME + "x/file", True),
        ({"NotResource": HOME + "${aws:PrincipalTag/team}/*"}, HOME + "x/file", False),
        ({"NotResource": [HOME + "${aws:PrincipalTag/team}/*", HOME + "y"]}, HOME + "x/file", False),
        ({"NotResource": [HOME + "x/*", HOME + "${aws:PrincipalTag/team}"]}, HOME + "x/file", False),
        ({"NotResource": HOME + "${aws:username}/*"}, HOME + "x/file", True),
        ({"NotResource": HOME + "${aws:username}/*"}, HOME + "al*ce/file", False),
        ({"Resource": HOME + "${*}"}, HOME + "*", True),
        ({"Resource": HOME + "${*}"}, HOME + "x", False),
        ({"Resource": HOME + "${?}${$}*"}, HOME + "?${x}", True),
        (
            {"Resource": "arn:aws:iam::${aws:PrincipalAccount}:user/*"},
            "arn:aws:iam::123456789012:user/a",
            True,
        ),
        ({"Resource": "arn:aws:iam::${x:colon}:user/*"}, "arn:aws:iam::1:2:user/a", False),
        ({"Resource": "arn:aws:logs:r:a:${x:colon}"}, "arn:aws:logs:r:a:1:2", True),
        ({"Resource": "arn:aws:ec2:${x:empty}:${x:empty}:subnet/*"}, SUBNET, False),
    ],
)
def test_a_variable_in_a_resource_is_literal_and_must_have_a_value(
    element: dict[str, Any], resource: str, expected: bool
) -> None:
    context: dict[str, str | tuple[str, ...]] = {
        "aws:username": "al*ce",
        "aws:PrincipalAccount": "123456789012",
        "x:colon": "1:2",
        "x:empty": "",
    }
    assert allows(element, resource=resource, context=context) is expected


def denies(element: dict[str, Any], resource: str, context: dict[str, str | tuple[str, ...]]) -> bool:
    """Whether a Deny with this element applies, everything being allowed."""
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*"} | element,
    ]
    policy = parse_policy({"Version": "2012-10-17", "Statement": statements})
    return decide(Request("a:b", resource, context), PolicySet((policy,))) is Outcome.EXPLICIT_DENY


def test_a_deny_of_all_but_an_arn_without_a_value_denies_all() -> None:
    own = HOME + "${aws:PrincipalTag/team}/*"
    assert denies({"NotResource": own}, HOME + "x/file", {})
    assert denies({"NotResource": [own, HOME + "y"]}, HOME + "x/file", {})
    assert denies({"NotResource": own}, HOME + "x/file", {"aws:PrincipalTag/team": ("x", "y")})
    assert not denies({"NotResource": [own, HOME + "x/*"]}, HOME + "x/file", {})
    assert not denies({"NotResource": own}, HOME + "x/file", {"aws:PrincipalTag/team": "x"})
    assert not denies({"Resource": own}, HOME + "x/file", {})


def test_an_incomplete_arn_may_hold_variables() -> None:
    element = {"Resource": "arn:aws:${x:service}"}
    assert allows(element, context={"x:service": "ec2"})
    assert not allows(element, context={"x:service": "iam"})
    assert not allows(element)


def test_a_deny_by_a_wildcard_in_the_service_is_found_among_many() -> None:
    """Denies are looked up by what their resources begin with."""
    others = [
        {"Effect": "Deny", "Action": "*", "Resource": f"arn:aws:ec2:us-east-1:123456789012:vpc/{n}"}
        for n in range(20)
    ]
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        *others,
        {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:ec2*:us-east-1:123456789012:x/*"},
    ]
    policies = PolicySet((parse_policy({"Statement": statements}),))
    for service in ("ec2", "ec2-instance-connect"):
        request = Request("a:b", f"arn:aws:{service}:us-east-1:123456789012:x/1")
        assert decide(request, policies) is Outcome.EXPLICIT_DENY
        assert evaluate(request, policies).outcome is Outcome.EXPLICIT_DENY


def test_variables_in_resources_are_text_before_version_2012() -> None:
    element = {"Resource": HOME + "${aws:username}"}
    context: dict[str, str | tuple[str, ...]] = {"aws:username": "alice"}
    assert not allows(element, resource=HOME + "alice", context=context, version="2008-10-17")
    assert allows(element, resource=HOME + "${aws:username}", context=context, version="2008-10-17")


TEXTS = st.text(alphabet="ab\n*?", max_size=12)


@given(pattern=st.text(alphabet="ab*?", max_size=10), text=TEXTS)
def test_a_glob_matches_what_its_regular_expression_matches(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    assert matches(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)


def seconds(pattern: str, text: str) -> float:
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    rounds = []
    for _ in range(3):
        start = time.thread_time()
        assert not matches(text)
        rounds.append(time.thread_time() - start)
    return min(rounds)


@pytest.mark.parametrize("piece", ["*a", "*a?", "*?", "*aab", "?*a*?"])
def test_no_pattern_of_wildcards_makes_matching_slow(piece: str) -> None:
    """A backtracking matcher never ends on these. Eight times the text may take some eight times as long.

    The pattern asks for a last character that the text has not, after every way to match the rest.
    """
    pattern = piece * 400 + "b"
    short, long = seconds(pattern, "a" * 4_000), seconds(pattern, "a" * 32_000)
    assert long < 8 * 8 * max(short, 1e-4)


@pytest.mark.parametrize("before", ["*?", "", "*"])
def test_what_a_variable_brings_makes_no_pattern_slow(before: str) -> None:
    """The caller chooses it, and it may stand in a pattern as often as there is room."""
    condition = {"StringLike": {"aws:UserAgent": before + "${aws:UserAgent}" * 60 + "b"}}

    def seconds(length: int) -> float:
        rounds = []
        for _ in range(3):
            start = time.thread_time()
            assert not allows({"Condition": condition}, context={"aws:UserAgent": "a" * length})
            rounds.append(time.thread_time() - start)
        return min(rounds)

    assert seconds(16_000) < 3 * 16 * max(seconds(1_000), 1e-4)


def test_a_pattern_takes_its_own_time_rather_than_that_of_the_text() -> None:
    """A gateway decides on its event loop, and a policy has room for a hundred and fifty patterns."""
    matches = glob(tokenise("?*" * 6 + "b", wildcards=True, variables=False))

    def seconds(length: int) -> float:
        text, rounds = "a" * length, []
        for _ in range(5):
            start = time.thread_time()
            for _ in range(100):
                assert not matches(text)
            rounds.append(time.thread_time() - start)
        return min(rounds)

    assert seconds(1024) < 6 * seconds(64)


@given(pattern=st.text(alphabet="aß*?\U0001f600", max_size=8), text=st.text(alphabet="aß\U0001f600b"))
def test_texts_beyond_ascii_match_likewise(pattern: str, text: str) -> None:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    matches = glob(tokenise(pattern, wildcards=True, variables=False))
    assert matches(text) is (re.fullmatch(expression, text, re.DOTALL) is not None)
