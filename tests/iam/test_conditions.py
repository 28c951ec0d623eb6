"""Conditions: keys, variables, absent and multi-valued values, under all operators."""

from typing import Any

import pytest
from tests.iam.one_condition import ABSENT, Given, holds

from hatchway.iam import Outcome, PolicySet, Request, decide, parse_policy
from hatchway.iam.conditions import compile_condition
from hatchway.iam.errors import UnreadableValue
from hatchway.iam.operators import OPERATORS


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
