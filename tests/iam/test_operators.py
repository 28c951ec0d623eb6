"""The condition operators, one truth a row."""

from typing import Any

import pytest
from tests.iam.one_condition import ABSENT, Given, holds

from hatchway.iam.conditions import compile_condition
from hatchway.iam.operators import OPERATORS

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


def test_a_variables_value_is_folded_once_however_often_a_policy_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folded = []

    def counted(character: str) -> str:
        folded.append(character)
        return character.lower()

    monkeypatch.setattr("hatchway.iam.patterns._folded", counted)
    agent = "Ärger mit Ümlauten, einmal gefaltet"
    values = tuple(f"${{aws:UserAgent}}{number}" for number in range(100))
    condition = compile_condition("StringEqualsIgnoreCase", "aws:UserAgent", values, variables=True)
    assert not condition.holds({"aws:useragent": agent})
    assert len(folded) == len(agent)
