"""Actions and resources: wildcards, segments, variables, complements, and no pattern that is slow."""

import time
from typing import Any

import pytest

from hatchway.iam import Outcome, PolicySet, Request, decide, evaluate, parse_policy
from hatchway.iam.elements import (
    MAX_PRINCIPAL_CHARACTERS,
    Named,
    Principal,
    PrincipalElement,
    PrincipalKind,
    ResourceElement,
    check_principal,
    compile_action,
    compile_resource,
)
from hatchway.iam.errors import UnreadableValue
from hatchway.iam.patterns import shorten

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
        ({"Resource": [HOME + "y", HOME + "${aws:username}"]}, HOME + "al*ce", True),
        ({"Resource": "arn:aws:ec2:::subnet/${x:subnet}"}, SUBNET, True),
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
        "x:subnet": "subnet-1",
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


def test_a_set_of_patterns_says_what_it_is_made_of() -> None:
    action = compile_action(("ec2:*", "iam:CreateUser"), negated=True)
    assert (action.patterns, action.negated) == (("ec2:*", "iam:CreateUser"), True)

    def resource(*patterns: str, negated: bool = False) -> ResourceElement:
        return compile_resource(patterns, negated=negated, variables=True, grants=True, completes=True)

    mixed = resource("arn:aws:s3:::a/${x:b}", "arn:aws:s3:::${x:c}*")
    assert mixed.patterns == ("arn:aws:s3:::a/${x:b}", "arn:aws:s3:::${x:c}*")
    assert [variable.key for variable in mixed.variables] == ["x:b", "x:c"]
    assert (mixed.negated, mixed.is_everything, mixed.prefixes) == (
        False,
        False,
        ("arn:aws:s3:::a/", "arn:aws:s3:::"),
    )
    whole = resource("*", "arn:aws:s3:::a")
    assert (whole.is_everything, whole.variables, whole.prefixes) == (True, (), ("", "arn:aws:s3:::a"))
    assert resource("arn:aws:s3:::a", "*").is_everything
    complement = resource("*", "arn:aws:s3:::${x:c}", negated=True)
    assert (complement.negated, complement.is_everything, complement.prefixes) == (True, False, ("",))
    assert complement.patterns == ("*", "arn:aws:s3:::${x:c}")
    assert [variable.key for variable in complement.variables] == ["x:c"]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("DescribeInstances", "'DescribeInstances' is not '*' or service:action"),
        ("ec2:Describe Instances", "'ec2:Describe Instances' is not '*' or service:action"),
        ("ec2:", "'ec2:' is not '*' or service:action"),
        (":x", "':x' is not '*' or service:action"),
        ("a:b:c", "'a:b:c' is not '*' or service:action"),
        ("a:b\n", "'a:b\n' is not '*' or service:action"),
        ("**", "'**' is not '*' or service:action"),
        ("x" * 90, f"'{'x' * 80}…' is not '*' or service:action"),
    ],
)
def test_what_is_no_action_is_refused_with_its_index(pattern: str, problem: str) -> None:
    with pytest.raises(UnreadableValue) as refusal:
        compile_action(("*", pattern), negated=False)
    assert refusal.value.args == (problem, 1)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("subnet-1", "'subnet-1' is not '*' or an ARN"),
        ("arn:aws:s3::", "'arn:aws:s3::' is not '*' or an ARN"),
        ("arn:aws:s3:::${", "'${' is not a policy variable"),
        ("${x:y}", "'${x:y}' is not '*' or an ARN"),
        ("x" * 90, f"'{'x' * 80}…' is not '*' or an ARN"),
    ],
)
def test_what_is_no_resource_is_refused_with_its_index(pattern: str, problem: str) -> None:
    for negated in (False, True):
        with pytest.raises(UnreadableValue) as refusal:
            compile_resource(("*", pattern), negated=negated, variables=True, grants=True, completes=True)
        assert refusal.value.args == (problem, 1)


def test_an_arn_without_all_segments_is_refused_where_it_is_not_completed() -> None:
    compile_resource(("arn:aws:ec2",), negated=False, variables=True, grants=True, completes=True)
    with pytest.raises(UnreadableValue, match="'arn:aws:ec2' is not"):
        compile_resource(("arn:aws:ec2",), negated=False, variables=True, grants=True, completes=False)


ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/a/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/on-call"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call/bob"
AWS, SERVICE = PrincipalKind.AWS, PrincipalKind.SERVICE


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (AWS, "*"),
        (AWS, ACCOUNT),
        (AWS, f"arn:aws:iam::{ACCOUNT}:root"),
        (AWS, f"arn:aws-us-gov:iam::{ACCOUNT}:root"),
        (AWS, USER),
        (AWS, ROLE),
        (AWS, SESSION),
        (AWS, f"arn:aws:sts::{ACCOUNT}:federated-user/bob"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:user/".ljust(MAX_PRINCIPAL_CHARACTERS, "x")),
        (AWS, "AIDAX47RQ4U4GD2F3GAKS"),
        (AWS, "AROAS3TJZ6M4KW57GZ3EO:bob"),
        (SERVICE, "ec2.amazonaws.com"),
        (PrincipalKind.FEDERATED, f"arn:aws:iam::{ACCOUNT}:saml-provider/x"),
        (PrincipalKind.FEDERATED, "*"),
        (PrincipalKind.CANONICAL_USER, "0123456789abcdef" * 4),
    ],
)
def test_a_name_of_a_principal_is_accepted(kind: PrincipalKind, name: str) -> None:
    check_principal(kind, name)


READS = {
    AWS: "'*', an account or the ARN of a user, role or session",
    SERVICE: "the name of a service",
    PrincipalKind.FEDERATED: "the name or ARN of an identity provider",
    PrincipalKind.CANONICAL_USER: "a canonical user id",
}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (AWS, "**"),
        (AWS, "1234567890123"),
        (AWS, "AKIAX47RQ4U4GD2F3GAKS"),
        (AWS, "AROAS3TJZ6M4KW57GZ3EO:"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:user/*"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:role/a?b"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:group/a"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:user/"),
        (AWS, f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call"),
        (AWS, f"{USER}\n"),
        (AWS, f"arn:aws:iam::{ACCOUNT}:user/".ljust(MAX_PRINCIPAL_CHARACTERS + 1, "x")),
        (SERVICE, "ec2"),
        (SERVICE, "*"),
        (PrincipalKind.FEDERATED, "a b"),
        (PrincipalKind.FEDERATED, "a*"),
        (PrincipalKind.FEDERATED, ""),
        (PrincipalKind.CANONICAL_USER, "0123456789abcdef" * 3),
    ],
)
def test_what_no_principal_is_called_is_refused(kind: PrincipalKind, name: str) -> None:
    with pytest.raises(UnreadableValue) as refusal:
        check_principal(kind, name)
    assert str(refusal.value) == f"'{shorten(name)}' is not {READS[kind]}"


ALICE = Principal(USER, ACCOUNT)
BOB = Principal(SESSION, ACCOUNT, role_arn=ROLE)
EC2 = Principal("ec2.amazonaws.com", kind=SERVICE)


@pytest.mark.parametrize(
    ("names", "caller", "named"),
    [
        ([(None, "*")], ALICE, Named.ANYONE),
        ([(None, "*")], EC2, Named.ANYONE),
        ([(AWS, "*")], ALICE, Named.ANYONE),
        ([(AWS, "*")], EC2, Named.NOT),
        ([(SERVICE, "ec2.amazonaws.com")], EC2, Named.PRINCIPAL),
        ([(SERVICE, "sts.amazonaws.com")], EC2, Named.NOT),
        ([(SERVICE, USER)], ALICE, Named.NOT),
        ([(AWS, ACCOUNT)], ALICE, Named.ACCOUNT),
        ([(AWS, f"arn:aws:iam::{ACCOUNT}:root")], BOB, Named.ACCOUNT),
        ([(AWS, "210987654321")], ALICE, Named.NOT),
        ([(AWS, "arn:aws:iam::210987654321:root")], ALICE, Named.NOT),
        ([(AWS, USER)], ALICE, Named.PRINCIPAL),
        ([(AWS, USER)], BOB, Named.NOT),
        ([(AWS, ROLE)], BOB, Named.ROLE),
        ([(AWS, ROLE), (AWS, ACCOUNT)], BOB, Named.ROLE),
        ([(AWS, ROLE), (AWS, SESSION)], BOB, Named.PRINCIPAL),
        ([(AWS, SESSION)], BOB, Named.PRINCIPAL),
        ([(AWS, ACCOUNT), (AWS, USER), (None, "*")], ALICE, Named.PRINCIPAL),
        ([(AWS, "210987654321"), (AWS, ACCOUNT)], ALICE, Named.ACCOUNT),
        # a caller of no account is named by no account
        ([(AWS, f"arn:aws:iam::{ACCOUNT}:root")], Principal("x"), Named.NOT),
        ([(AWS, USER)], Principal("x"), Named.NOT),
        ([(AWS, "x")], Principal("x"), Named.PRINCIPAL),
        ([], ALICE, Named.NOT),
    ],
)
def test_the_closest_of_the_names_counts(
    names: list[tuple[PrincipalKind | None, str]], caller: Principal, named: Named
) -> None:
    assert PrincipalElement(tuple(names)).names_caller(caller) is named
