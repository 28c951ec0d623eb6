"""Lint as a whole: which checks are made of a policy, and of what is none."""

import json
from random import Random

from tests.iam import generated
from tests.iam.lint.cases import FACTS, statement

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import KINDS, Home, Severity, lint, lint_document


def test_without_facts_the_checks_that_need_them_are_left_out() -> None:
    policy = parse_policy(
        {"Statement": [statement(Action="ec3:Nonsense"), statement(Action="*", Resource="*")]}
    )
    assert {finding.code for finding in lint(policy)} == {"wide-grant", "duplicate-statement"}


def test_a_document_that_is_no_policy_is_a_finding() -> None:
    (finding,) = lint_document('{"Statement": {"Effect": "Allow"}}', FACTS)
    assert (finding.code, finding.place, finding.severity, finding.fix) == (
        "malformed-policy",
        "Statement[0]",
        Severity.ERROR,
        "Correct the document there.",
    )
    assert "has neither Action nor NotAction" in finding.message
    assert lint_document(b"\xff")[0].code == "malformed-policy"


def test_lint_reads_every_policy_that_can_be_parsed() -> None:
    for seed in range(300):
        rng = Random(seed)
        for finding in lint(parse_policy(generated.document(rng)), FACTS):
            assert finding.code in KINDS
        lint(parse_policy(generated.trust_document(rng), kind=PolicyKind.TRUST), FACTS)


def test_where_a_policy_is_in_force_is_told_or_left_open() -> None:
    policy = parse_policy({"Statement": statement(Resource="arn:aws:ec2:us-east-1:999999999999:subnet/a")})
    assert lint(policy) == ()
    assert [each.code for each in lint(policy, home=Home("123456789012", "us-east-1"))] == ["nothing-here"]
    assert [each.code for each in lint(policy, home=Home("999999999999", "us-east-1"))] == []


def test_a_document_is_parsed_as_the_kind_that_it_is_said_to_be_and_linted_likewise() -> None:
    made = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "999999999999"}}
    text = json.dumps({"Statement": made})
    home = Home("123456789012", "us-east-1")
    assert [each.code for each in lint_document(text, kind=PolicyKind.TRUST, home=home)] == ["other-account"]
    assert [each.code for each in lint_document(text)] == ["malformed-policy"]
    misspelt = json.dumps({"Statement": statement(Action="ec2:CreateTag")})
    assert [each.code for each in lint_document(misspelt, FACTS)] == ["unknown-action"]


def test_findings_come_statement_by_statement() -> None:
    twice = statement(Sid="a-b", Action="ec2:CreateTag")
    found = lint(parse_policy({"Version": "2012-10-17", "Statement": [twice, twice | {"Sid": "c-d"}]}), FACTS)
    assert [(each.code, each.place) for each in found] == [
        ("sid-characters", "Statement[0].Sid"),
        ("unknown-action", "Statement[0].Action"),
        ("sid-characters", "Statement[1].Sid"),
        ("unknown-action", "Statement[1].Action"),
        ("duplicate-statement", "Statement[1]"),
    ]
