"""What lint finds without knowing any service."""

from typing import Any

import pytest
from tests.iam.lint.cases import OF_RULES, findings

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint import lint


@pytest.mark.parametrize(("made", "expected"), OF_RULES, ids=range(len(OF_RULES)))
def test_a_statement_has_the_findings_that_it_deserves(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


def test_a_trust_policy_open_to_anyone_is_found() -> None:
    opened = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["123456789012", "*"]}}
    conditioned = opened | {"Condition": {"StringEquals": {"sts:ExternalId": "x"}}}
    for made, codes in ((opened, ["wide-grant"]), (conditioned, [])):
        policy = parse_policy({"Version": "2012-10-17", "Statement": made}, kind=PolicyKind.TRUST)
        assert [finding.code for finding in lint(policy)] == codes
