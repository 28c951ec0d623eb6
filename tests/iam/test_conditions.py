"""The condition operators, one truth a row."""

from typing import Any

import pytest

from hatchway.iam import Outcome, PolicySet, Request, decide, evaluate, parse_policy
from hatchway.iam.conditions import OPERATORS, compile_condition
from hatchway.iam.errors import UnreadableValue

ABSENT = None
Given = str | tuple[str, ...] | None


def holds(operator: str, value: Any, given: Given, *, key: str = "x:Key", **others: str) -> bool:
    """Whether a statement under this one condition applies; the explaining reading must agree."""
    condition = {operator: {key: value}}
    statement = {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": condition}
    policies = PolicySet(identity=(parse_policy({"Version": "2012-10-17", "Statement": statement}),))
    context: dict[str, str | tuple[str, ...]] = {} if given is None else {"x:Key": given}
    request = Request(
        "a:b", context=context | {name.replace("_", ":"): text for name, text in others.items()}
    )
    outcome = decide(request, policies)
    assert evaluate(request, policies).outcome is outcome
    return outcome is Outcome.ALLOWED


TRUTHS: list[tuple[str, Any, Given, bool]] = [
    # String
    ("StringEquals", "dev", "dev", True),
    ("StringEquals", "dev", "Dev", False),
    ("StringEquals", ["dev", "test"], "test", True),
    ("StringEquals", "de*", "dev", False),
    ("StringEquals", "de*", "de*", True),
    ("StringEquals", 22, "22", True),
    ("StringEquals", True, "true", True),
    ("StringEquals", "dev", ABSENT, False),
    ("StringEquals", "", "", True),
    ("StringNotEquals", "dev", "prod", True),
    ("StringNotEquals", "dev", "dev", False),
    ("StringNotEquals", ["dev", "test"], "test", False),
    ("StringNotEquals", "dev", ABSENT, True),
    ("StringEqualsIgnoreCase", "DEV", "dEv", True),
    ("StringEqualsIgnoreCase", "DEV", "prod", False),
    ("StringEqualsIgnoreCase", "STRASSE", "straße", False),
    ("StringEqualsIgnoreCase", "ß", "ss", False),
    ("StringEqualsIgnoreCase", "ÄRGER", "ärger", True),
    ("StringEqualsIgnoreCase", "ΟΔΟΣ", "οδος", True),
    ("StringEqualsIgnoreCase", "ﬁ", "fi", False),
    ("StringNotEqualsIgnoreCase", "STRASSE", "straße", True),
    ("StringNotEqualsIgnoreCase", "DEV", "dev", False),
    ("StringNotEqualsIgnoreCase", "DEV", "prod", True),
    ("StringLike", "d*v", "dev", True),
    ("StringLike", "d?v", "dev", True),
    ("StringLike", "d?v", "deev", False),
    ("StringLike", "d*", "Dev", False),
    ("StringLike", "*", "", True),
    ("StringLike", "?", "", False),
    ("StringLike", "a*a", "a", False),
    ("StringLike", "*\u00e9*", "caf\u00e9s", True),
    ("StringLike", "a*c", "a\nb\nc", True),
    ("StringNotLike", "d*", "prod", True),
    ("StringLike", ["d*", "p*"], "prod", True),
    ("StringLike", ["d*", "p*"], "test", False),
    ("StringNotLike", ["d*", "p*"], "prod", False),
    ("StringNotLike", ["d*", "p*"], "test", True),
    # Numeric
    ("NumericEquals", "22", "22", True),
    ("NumericEquals", "22", "022", True),
    ("NumericEquals", "22", "22.0", True),
    ("NumericEquals", "22", "2.2e1", True),
    ("NumericEquals", "22", "3389", False),
    ("NumericEquals", ["22", 3389], "3389", True),
    ("NumericEquals", "22", "ssh", False),
    ("NumericEquals", "22", " 22", False),
    ("NumericEquals", "22", "2_2", False),
    ("NumericEquals", "22", "٢٢", False),
    ("NumericEquals", "22", "", False),
    ("NumericEquals", "0.1", "0.1000000000000000000000000000000000001", False),
    ("NumericEquals", "9007199254740993", "9007199254740992", False),
    ("NumericNotEquals", "22", "3389", True),
    ("NumericNotEquals", "22", "22.00", False),
    ("NumericNotEquals", "22", "ssh", False),
    ("NumericNotEquals", "22", "1e999999999", False),
    ("NumericNotEquals", "22", "9" * 10_000, False),
    ("NumericNotEquals", "22", ABSENT, True),
    ("NumericLessThan", "600", "599.9", True),
    ("NumericLessThan", "600", "600", False),
    ("NumericLessThan", ["600", "3600"], "3599", True),
    ("NumericLessThanEquals", "600", "600", True),
    ("NumericLessThanEquals", "600", "601", False),
    ("NumericGreaterThan", "600", "601", True),
    ("NumericGreaterThan", ["600", "3600"], "601", True),
    ("NumericGreaterThan", "600", "600", False),
    ("NumericGreaterThanEquals", "600", "600", True),
    ("NumericGreaterThanEquals", "-1", "-1.5", False),
    ("NumericLessThan", "1e300", "1e299", True),
    # Date
    ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T05:30:00+05:30", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2025-12-31T16:00:00-0800", True),
    ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T02:00+02", True),
    ("DateEquals", "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999999999Z", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "1767225599.5", True),
    ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", True),
    ("DateLessThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
    ("DateGreaterThanEquals", 1767225600, "2026-01-01T00:00:00Z", True),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", True),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "tomorrow", False),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-01T24:00:00Z", False),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+24:00", False),
    ("DateNotEquals", "2026-01-01T00:00:00Z", "2026-01-01", False),
    ("DateGreaterThan", "0", "1969-12-31T23:59:59Z", False),
    ("DateLessThan", "0", "0001-01-01T00:00:00+23:59", True),
    # Bool
    ("Bool", "true", "true", True),
    ("Bool", True, "TRUE", True),
    ("Bool", "false", "true", False),
    ("Bool", ["true", "false"], "False", True),
    ("Bool", "false", "0", False),
    ("Bool", "false", ABSENT, False),
    ("BoolIfExists", "true", ABSENT, True),
    # Binary
    ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
    ("BinaryEquals", "YQ==", "Yg==", False),
    ("BinaryEquals", "YQ==", "YQ", False),
    ("BinaryEquals", "YQ==", "YQ==\n", False),
    ("BinaryEquals", "YQ==", "Y-Q==", False),
    ("BinaryEquals", "", "", True),
    # IP
    ("IpAddress", "10.0.1.0/31", "10.0.1.1", True),
    ("IpAddress", "10.0.1.0/31", "10.0.1.2", False),
    ("IpAddress", "10.0.1.1/31", "10.0.1.0", True),
    ("IpAddress", "10.0.1.1", "10.0.1.1", True),
    ("IpAddress", "0.0.0.0/0", "255.255.255.255", True),
    ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
    ("IpAddress", "::/0", "10.0.0.1", False),
    ("IpAddress", "10.0.1.0/24", "::ffff:10.0.1.9", True),
    ("IpAddress", "10.0.1.0/24", "::ffff:a00:109", True),
    ("IpAddress", "::ffff:10.0.1.0/120", "10.0.1.9", True),
    ("IpAddress", "::ffff:10.0.1.0/120", "10.0.2.9", False),
    ("IpAddress", "::ffff:10.0.1.9", "10.0.1.9", True),
    ("IpAddress", "2001:db8::/33", "2001:db8:7fff::", True),
    ("IpAddress", "2001:db8::/33", "2001:db8:8000::", False),
    ("IpAddress", ["192.0.2.0/24", "2001:db8::/32"], "2001:DB8::1", True),
    ("IpAddress", ["192.0.2.0/24", "10.0.0.0/8"], "198.51.100.1", False),
    ("IpAddress", ["0.0.0.0/0", "192.0.2.0/24"], "2001:db8::1", False),
    ("IpAddress", "10.0.1.0/24", "10.0.1", False),
    ("IpAddress", "10.0.1.0/24", "10.0.1.01", False),
    ("IpAddress", "10.0.1.0/24", "10.0.1.9/32", False),
    ("IpAddress", "fe80::/10", "fe80::1%eth0", False),
    ("IpAddress", "10.0.1.0/24", "1" * 100_000, False),
    ("NotIpAddress", "10.0.1.0/24", "10.0.2.1", True),
    ("NotIpAddress", ["10.0.1.0/24", "10.0.2.0/24"], "10.0.2.1", False),
    ("NotIpAddress", "10.0.1.0/24", "::ffff:10.0.1.1", False),
    ("NotIpAddress", "10.0.1.0/24", "localhost", False),
    ("NotIpAddress", "10.0.1.0/24", ABSENT, True),
    # ARN
    ("ArnEquals", "arn:aws:iam::123456789012:user/*", "arn:aws:iam::123456789012:user/a/b", True),
    ("ArnLike", "arn:aws:iam::*:user/alice", "arn:aws:iam::123456789012:user/alice", True),
    ("ArnLike", "arn:aws:s3:::bucket/*:x", "arn:aws:s3:::bucket/a:b:x", True),
    ("ArnLike", "arn:aws:ec2:::subnet/*", "arn:aws:ec2:us-east-1:123456789012:subnet/a", False),
    ("ArnLike", "*", "arn:aws:ec2:us-east-1:123456789012:subnet/a", True),
    ("ArnLike", "*", "alice", False),
    ("ArnLike", ["arn:aws:iam::*:user/a", "arn:aws:iam::*:role/*"], "arn:aws:iam::1:role/b", True),
    ("ArnLike", ["arn:aws:iam::*:user/a", "arn:aws:iam::*:role/*"], "arn:aws:iam::1:user/b", False),
    ("ArnNotLike", "arn:aws:iam::123456789012:role/*", "arn:aws:iam::123456789012:user/a", True),
    ("ArnNotEquals", "arn:aws:iam::123456789012:*", "arn:aws:iam::123456789012:user/a", False),
    ("ArnNotEquals", "arn:aws:iam::123456789012:*", "alice", False),
    # Null
    ("Null", "true", ABSENT, True),
    ("Null", "true", "", False),
    ("Null", "false", "", True),
    ("Null", False, ABSENT, False),
    ("Null", "true", (), True),
    ("Null", ["true", "false"], "x", True),
    # IfExists
    ("StringEqualsIfExists", "dev", ABSENT, True),
    ("StringEqualsIfExists", "dev", "prod", False),
    ("NumericLessThanIfExists", "5", ABSENT, True),
    ("NumericLessThanIfExists", "5", "x", False),
    ("NotIpAddressIfExists", "10.0.0.0/8", ABSENT, True),
    # several values
    ("StringEquals", "a", ("a",), False),
    ("StringNotEquals", "a", ("b", "c"), False),
    ("StringEqualsIfExists", "a", ("a",), False),
    ("NumericEquals", "1", ("1",), False),
    ("ForAllValues:StringEquals", ["a", "b"], ("a", "b"), True),
    ("ForAllValues:StringEquals", ["a", "b"], ("a", "c"), False),
    ("ForAllValues:StringEquals", "a", ABSENT, True),
    ("ForAllValues:StringEquals", "a", (), True),
    ("ForAllValues:StringEquals", "a", "a", True),
    ("ForAllValues:StringNotEquals", "a", ("b", "c"), True),
    ("ForAllValues:StringNotEquals", "a", ("a", "b"), False),
    ("ForAllValues:NumericLessThan", "5", ("1", "x"), False),
    ("ForAllValues:StringLikeIfExists", "a*", ABSENT, True),
    ("ForAnyValue:StringEquals", ["a", "b"], ("c", "b"), True),
    ("ForAnyValue:StringEquals", ["a", "b"], ("c", "d"), False),
    ("ForAnyValue:StringEquals", "a", ABSENT, False),
    ("ForAnyValue:StringEquals", "a", (), False),
    ("ForAnyValue:StringEquals", "a", "a", True),
    ("ForAnyValue:StringNotEquals", "a", ("a", "b"), True),
    ("ForAnyValue:StringNotEquals", "a", ("a",), False),
    ("ForAnyValue:StringNotEquals", "a", ABSENT, False),
    ("ForAnyValue:StringEqualsIfExists", "a", ABSENT, True),
    ("ForAnyValue:NumericNotEquals", "5", ("x",), False),
    ("ForAnyValue:IpAddress", "10.0.0.0/8", ("host", "10.1.1.1"), True),
]


@pytest.mark.parametrize(
    ("operator", "value", "given", "expected"),
    TRUTHS,
    ids=lambda part: str(part)[:40],
)
def test_an_operator_holds_as_the_table_says(operator: str, value: Any, given: Given, expected: bool) -> None:
    assert holds(operator, value, given) is expected


def test_the_table_tries_every_operator() -> None:
    tried = {name.rpartition(":")[2].removesuffix("IfExists") for name, *_ in TRUTHS}
    assert tried == {name for name in OPERATORS if ":" not in name and not name.endswith("IfExists")} | {
        "Null"
    }


def test_keys_match_whatever_their_case_tag_keys_too() -> None:
    assert holds("StringEquals", "dev", "dev", key="X:KEY")
    statement = {
        "Effect": "Allow",
        "Action": "a:b",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/Env": "dev"}},
    }
    policies = PolicySet(identity=(parse_policy({"Statement": statement}),))
    assert decide(Request("a:b", context={"AWS:resourcetag/ENV": "dev"}), policies) is Outcome.ALLOWED


def test_all_pairs_of_operator_and_key_must_hold() -> None:
    condition = {"StringEquals": {"x:A": "1", "x:B": "2"}, "Bool": {"x:C": "true"}}
    statement = {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": condition}
    policies = PolicySet(identity=(parse_policy({"Statement": statement}),))
    full: dict[str, str | tuple[str, ...]] = {"x:A": "1", "x:B": "2", "x:C": "true"}
    assert decide(Request("a:b", context=full), policies) is Outcome.ALLOWED
    for key in full:
        assert decide(Request("a:b", context=full | {key: "other"}), policies) is Outcome.IMPLICIT_DENY


VARIABLES: list[tuple[str, Any, Given, bool]] = [
    ("StringEquals", "${aws:username}", "alice", True),
    ("StringEquals", "${aws:username}", "bob", False),
    ("StringEquals", "home/${AWS:UserName}/x", "home/alice/x", True),
    ("StringEquals", "${x:missing}", "alice", False),
    ("StringNotEquals", "${x:missing}", "alice", True),
    ("StringNotEquals", ["${x:missing}", "bob"], "alice", True),
    ("StringNotEquals", ["${x:missing}", "alice"], "alice", False),
    ("StringEquals", ["${x:missing}", "alice"], "alice", True),
    ("StringEqualsIfExists", "${x:missing}", ABSENT, True),
    ("StringNotEquals", "${x:missing}", ABSENT, True),
    ("ForAllValues:StringEquals", "${x:missing}", ABSENT, True),
    ("ForAllValues:StringEquals", "${x:missing}", ("a",), False),
    ("ForAllValues:StringNotEquals", "${x:missing}", ("a", "b"), True),
    ("ForAnyValue:StringNotEquals", "${x:missing}", ("a", "b"), True),
    ("ForAnyValue:StringNotEquals", ["${x:missing}", "a"], ("a",), False),
    ("ForAnyValue:StringNotEquals", "${x:missing}", ABSENT, False),
    ("ForAnyValue:StringNotEqualsIfExists", "${x:missing}", ABSENT, True),
    ("StringNotEquals", "${x:missing}", ("a", "b"), False),
    ("StringNotLike", "${x:missing}*", "alice", True),
    ("StringNotEqualsIgnoreCase", "a${x:missing}", "a", True),
    ("NumericNotEquals", "${x:missing}", "1", True),
    ("NumericNotEquals", "${x:missing}", "no number", False),
    ("DateNotEquals", "${x:missing}", "2026", True),
    ("NotIpAddress", "${x:missing}", "10.0.0.1", True),
    ("NotIpAddress", "${x:missing}", "host", False),
    ("ArnNotEquals", "${x:missing}", "arn:aws:iam::123456789012:user/bob", True),
    ("ArnNotLike", "arn:aws:iam::123456789012:user/${x:missing}", "arn:aws:iam::123456789012:user/", True),
    ("StringEquals", "${x:missing, 'alice'}", "alice", True),
    ("StringEquals", "${x:missing,'al}ice'}", "al}ice", True),
    ("StringEquals", "${aws:username, 'bob'}", "alice", True),
    ("StringEquals", "${*}${?}${$}", "*?$", True),
    ("StringLike", "${*}x", "*x", True),
    ("StringLike", "${*}x", "yx", False),
    ("StringLike", "${x:star}", "anything", False),
    ("StringLike", "${x:star}", "*", True),
    ("StringLike", "${x:star}*", "*anything", True),
    ("StringLike", "${x:missing, '*'}", "anything", False),
    ("NumericLessThanEquals", "${x:limit}", "600", True),
    ("NumericLessThanEquals", "${x:limit}", "601", False),
    ("NumericLessThanEquals", "${aws:username}", "1", False),
    ("NumericNotEquals", "${aws:username}", "1", False),
    ("NumericNotEquals", ["${aws:username}", "${x:missing}", "2"], "1", False),
    ("NumericNotEquals", "${aws:username}", ABSENT, True),
    ("IpAddress", "${x:network}", "10.9.9.9", True),
    (
        "ArnEquals",
        "arn:aws:iam::123456789012:user/${aws:username}",
        "arn:aws:iam::123456789012:user/alice",
        True,
    ),
    ("ArnEquals", "arn:aws:iam::123456789012:user/${x:star}", "arn:aws:iam::123456789012:user/bob", False),
    ("ArnEquals", "${x:arn}", "arn:aws:iam::123456789012:user/*", True),
    ("ArnEquals", "${x:arn}", "arn:aws:iam::123456789012:user/bob", False),
    ("ArnNotEquals", "${aws:username}", "arn:aws:iam::123456789012:user/bob", False),
]


@pytest.mark.parametrize(
    ("operator", "value", "given", "expected"),
    VARIABLES,
    ids=lambda part: str(part)[:40],
)
def test_a_variable_stands_for_the_requests_value_literally(
    operator: str, value: Any, given: Given, expected: bool
) -> None:
    others = {
        "aws_username": "alice",
        "x_star": "*",
        "x_limit": "600",
        "x_network": "10.0.0.0/8",
        "x_arn": "arn:aws:iam::123456789012:user/*",
    }
    assert holds(operator, value, given, **others) is expected


def test_a_multi_valued_key_stands_for_no_text() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "a:b",
        "Resource": "*",
        "Condition": {"StringEquals": {"x:A": "${aws:TagKeys, 'env'}"}},
    }
    policies = PolicySet(identity=(parse_policy({"Version": "2012-10-17", "Statement": statement}),))
    assert decide(Request("a:b", context={"x:A": "env"}), policies) is Outcome.ALLOWED
    tagged = Request("a:b", context={"x:A": "env", "aws:TagKeys": ("env",)})
    assert decide(tagged, policies) is Outcome.IMPLICIT_DENY


def test_variables_are_text_before_version_2012() -> None:
    statement = {
        "Effect": "Allow",
        "Action": "a:b",
        "Resource": "*",
        "Condition": {"StringEquals": {"x:A": "${aws:username}"}},
    }
    for version in ({"Version": "2008-10-17"}, {}):
        policies = PolicySet(identity=(parse_policy(version | {"Statement": statement}),))
        context: dict[str, str | tuple[str, ...]] = {"aws:username": "alice"}
        assert decide(Request("a:b", context=context | {"x:A": "alice"}), policies) is Outcome.IMPLICIT_DENY
        assert (
            decide(Request("a:b", context=context | {"x:A": "${aws:username}"}), policies) is Outcome.ALLOWED
        )


READABLE = {"Numeric": "22", "Date": "2026-01-31", "Bool": "true", "Binary": "YQ==", "Ip": "10.0.0.1"} | {
    "Arn": "arn:aws:iam::123456789012:user/bob",
    "String": "text",
}


def readable(operator: str) -> str:
    return next(text for family, text in READABLE.items() if family in operator.rpartition(":")[2])


@pytest.mark.parametrize("operator", OPERATORS)
def test_what_has_no_value_equals_nothing_under_every_operator(operator: str) -> None:
    negated = "Not" in operator
    value = readable(operator)
    assert holds(operator, "${x:missing}", value) is negated
    for given in (value, (value, value), (), ABSENT):
        assert holds(operator, [value, "${x:missing}"], given) is holds(operator, value, given)


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name.startswith("ForAllValues:")])
def test_empty_texts_alone_are_no_value_to_for_all_values(operator: str) -> None:
    value = readable(operator)
    for given in ("", ("",), ("", "")):
        assert holds(operator, value, given)
    mixed = holds(operator, value, ("", value))
    assert mixed is (holds(operator, value, ("x", value)) and "Not" in operator)


def test_for_any_value_and_single_values_compare_an_empty_text_as_it_is() -> None:
    assert holds("ForAnyValue:StringEquals", "", "")
    assert not holds("ForAnyValue:StringEquals", "a", ("",))
    assert not holds("StringEquals", "a", "")


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026", "2026-01-01T00:00:00Z"),
        ("2026-03", "2026-03-01T00:00:00Z"),
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2026-01-31", "1769817600"),
    ],
)
def test_a_date_without_a_time_begins_at_midnight_utc(written: str, moment: str) -> None:
    assert holds("DateEquals", written, moment)
    assert holds("DateEquals", moment, written)


@pytest.mark.parametrize("written", ["2026-13", "2026-02-30", "2026-1", "26-01-01", "2026-01-", "0000"])
def test_what_the_calendar_does_not_have_is_no_date(written: str) -> None:
    assert not holds("DateNotEquals", "2026", written)


OWN_ARN = "arn:aws:iam::123456789012:user/a*/b?b"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (OWN_ARN, True),
        ("arn:aws:iam::123456789012:user/a${*}/b${?}b", True),
        ("arn:aws:iam::123456789012:user/*/b?b", True),
        ("arn:aws:iam::123456789012:user/axx/bxb", False),
        ("${aws:PrincipalArn}", True),
        ("arn:aws:iam::123456789012:user/${x:path}/b${?}b", True),
    ],
)
def test_a_wildcard_in_a_principals_own_arn_is_literal(pattern: str, expected: bool) -> None:
    for operator in ("ArnLike", "ArnEquals"):
        statement = {
            "Effect": "Allow",
            "Action": "a:b",
            "Resource": "*",
            "Condition": {operator: {"aws:PrincipalArn": pattern}},
        }
        policies = PolicySet(identity=(parse_policy({"Version": "2012-10-17", "Statement": statement}),))
        context: dict[str, str | tuple[str, ...]] = {"aws:PrincipalArn": OWN_ARN, "x:path": "a*"}
        assert (decide(Request("a:b", context=context), policies) is Outcome.ALLOWED) is expected


@pytest.mark.parametrize(
    "other", ["arn:aws:iam::123456789012:user/axx/bxb", "arn:aws:iam::123456789012:user/a/bb"]
)
def test_a_substituted_arn_with_wildcards_matches_itself_alone(other: str) -> None:
    for pattern in ("${x:arn}", "arn:aws:iam::123456789012:user/${x:path}/b${?}b"):
        for operator in ("ArnLike", "ArnEquals", "StringLike"):
            assert not holds(operator, pattern, other, x_arn=OWN_ARN, x_path="a*")


@pytest.mark.parametrize(
    ("operator", "values", "problem", "index"),
    [
        ("NumericEquals", ("1", "x"), "'x' is not a number", 1),
        ("DateEquals", ("x",), "'x' is not a date with an offset or Z, or epoch seconds", 0),
        ("Bool", ("true", "false", "x"), "'x' is not true or false", 2),
        ("BinaryEquals", ("YQ==", "YQ"), "'YQ' is not base64", 1),
        ("NotIpAddress", ("::1", "x"), "'x' is not an IP address or CIDR range", 1),
        ("ArnLike", ("*", "x"), "'x' is not an ARN", 1),
        ("ArnLike", ("*", "x${a}"), "'x${a}' is not an ARN", 1),
        ("StringEquals", ("a", "${"), "'${' is not a policy variable", 1),
        ("Null", ("true", "x"), "'x' is not true or false", 1),
        ("NumericEquals", ("1" * 90,), f"'{'1' * 80}…' is not a number", 0),
    ],
)
def test_a_value_that_the_operator_cannot_read_is_named_with_its_index(
    operator: str, values: tuple[str, ...], problem: str, index: int
) -> None:
    with pytest.raises(UnreadableValue) as refusal:
        compile_condition(operator, "x:Y", values, variables=True)
    assert refusal.value.args == (problem, index)


def test_a_condition_keeps_what_the_document_says() -> None:
    condition = compile_condition("StringLike", "X:Key", ("a*", "${x:b}${x:c}"), variables=True)
    assert (condition.operator, condition.key, condition.values) == (
        "StringLike",
        "X:Key",
        ("a*", "${x:b}${x:c}"),
    )
    assert condition.folded_key == "x:key"
    assert [variable.key for variable in condition.variables] == ["x:b", "x:c"]
    for plain in (
        compile_condition("StringLike", "X:Key", ("a*", "${x:b}"), variables=False),
        compile_condition("Null", "X:Key", ("true",), variables=True),
    ):
        assert plain.variables == ()
        assert plain.folded_key == "x:key"
    assert compile_condition("Null", "X:Key", ("true", "False"), variables=True).values == ("true", "False")
    assert condition == compile_condition("StringLike", "X:Key", ("a*", "${x:b}${x:c}"), variables=False)
