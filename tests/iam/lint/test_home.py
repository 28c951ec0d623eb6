"""What lint finds of ARNs of other accounts and regions."""

import pytest
from tests.iam.lint.cases import ENDPOINT, statement

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import Home, lint

HERE = Home("123456789012", "us-east-1")
ELSEWHERE = ENDPOINT.replace("123456789012", "999999999999")
ABROAD = ENDPOINT.replace("us-east-1", "eu-west-1")


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ([ELSEWHERE], [("nothing-here", "Statement[0]")]),
        ([ELSEWHERE, ABROAD], [("nothing-here", "Statement[0]")]),
        ([ELSEWHERE, ENDPOINT], [("other-account", "Statement[0].Resource[0]")]),
        ([ENDPOINT, ABROAD], [("other-account", "Statement[0].Resource[1]")]),
        (["*", ELSEWHERE], [("other-account", "Statement[0].Resource[1]")]),
        ([ENDPOINT, "arn:aws:ec2:*:*:subnet/*", "arn:aws:iam::aws:policy/X", "arn:aws:s3:::bucket"], []),
        (["arn:aws:ec2:us-east-1:99999999999?:subnet/subnet-a", "arn:aws:ec2:${aws:x}:*:subnet/*"], []),
    ],
)
def test_arns_of_elsewhere_are_found_where_it_is_known_what_is_here(
    resources: list[str], expected: list[tuple[str, str]]
) -> None:
    made = parse_policy({"Version": "2012-10-17", "Statement": [statement(Action="*", Resource=resources)]})
    codes = {"nothing-here", "other-account"}
    assert [(f.code, f.place) for f in lint(made, home=HERE) if f.code in codes] == expected
    assert not codes & {finding.code for finding in lint(made)}


def test_a_trust_policy_for_another_account_is_found() -> None:
    trusted = ["arn:aws:iam::999999999999:user/eve", "888888888888", "arn:aws:iam::123456789012:user/alice"]
    made = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}}
    found = lint(parse_policy({"Statement": made}, kind=PolicyKind.TRUST), home=HERE)
    assert [finding.message.partition(" is of ")[2].partition(":")[0] for finding in found] == [
        "account 999999999999",
        "account 888888888888",
    ]
