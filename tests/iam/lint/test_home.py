"""What lint finds of ARNs of other accounts and regions."""

import pytest
from tests.iam.lint.cases import ENDPOINT, statement

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import Finding, Home, lint

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


HERE_IT_IS = "Put account 123456789012 and region us-east-1 there, as far as the ARN has them."


def test_a_statement_about_nothing_here_says_of_where_else_it_is() -> None:
    made = statement(Action="*", Resource=[ELSEWHERE, ABROAD, ELSEWHERE])

    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made}), home=HERE) == (
        Finding(
            "nothing-here",
            "Statement[0]",
            "All its resources are of account 999999999999 and region eu-west-1, so that nothing in account "
            "123456789012, us-east-1, is what the statement is about.",
            HERE_IT_IS,
        ),
    )


def test_of_several_resources_those_of_elsewhere_are_told_one_by_one() -> None:
    made = statement(Action="*", Resource=[ABROAD, ENDPOINT, ELSEWHERE])

    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made}), home=HERE) == (
        Finding(
            "other-account",
            "Statement[0].Resource[0]",
            f"'{ABROAD}' is of region eu-west-1: nothing here has such an ARN.",
            HERE_IT_IS,
        ),
        Finding(
            "other-account",
            "Statement[0].Resource[2]",
            f"'{ELSEWHERE}' is of account 999999999999: nothing here has such an ARN.",
            HERE_IT_IS,
        ),
    )


def test_a_complement_that_names_elsewhere_alone_is_about_what_is_here() -> None:
    made = statement(Action="*", NotResource=ELSEWHERE, Effect="Deny")
    found = lint(parse_policy({"Version": "2012-10-17", "Statement": made}), home=HERE)

    assert [(finding.code, finding.place) for finding in found] == [
        ("other-account", "Statement[0].NotResource")
    ]


@pytest.mark.parametrize(
    ("arn", "where"),
    [
        ("arn:aws:ec2:eu-west-1:999999999999:x", "account 999999999999"),
        ("arn:aws:ec2:eu-west-1:123456789012:x:y:z", "region eu-west-1"),
        ("arn:aws:ec2:us-gov-west-1:*:x", "region us-gov-west-1"),
        ("arn:aws:ec2:us-east-1:123456789012:eu-west-1:999999999999", None),
        ("urn:aws:ec2:eu-west-1:999999999999:x", None),
        ("arn:aws:ec2:eu-west-1:999999999999", None),
        ("999999999999", None),
    ],
)
def test_an_arn_tells_of_which_account_or_region_it_is(arn: str, where: str | None) -> None:
    assert HERE.elsewhere(arn) == where


def test_a_trust_policy_for_another_account_is_found() -> None:
    trusted = ["arn:aws:iam::999999999999:user/eve", "888888888888", "arn:aws:iam::123456789012:user/alice"]
    made = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": trusted}}
    found = lint(parse_policy({"Statement": made}, kind=PolicyKind.TRUST), home=HERE)
    assert found == tuple(
        Finding(
            "other-account",
            "Statement[0].Principal",
            f"'{name}' is of account {account}: nothing here has such an ARN.",
            HERE_IT_IS,
        )
        for name, account in ((trusted[0], "999999999999"), (trusted[1], "888888888888"))
    )
