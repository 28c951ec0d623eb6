"""What lint finds of statements that add nothing to the others."""

from typing import Any

import pytest
from tests.iam.lint.cases import OF_OVERLAPS, findings, statement

from hatchway.iam import PolicyKind, parse_policy
from hatchway.iam.lint.overlaps import MAX_PATTERNS, overlaps
from hatchway.iam.lint.source import statements_of


@pytest.mark.parametrize(("statements", "expected"), OF_OVERLAPS, ids=range(len(OF_OVERLAPS)))
def test_a_statement_that_adds_nothing_is_found_once(
    statements: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    assert findings(*statements) == expected


def test_statements_of_a_policy_beyond_all_quotas_are_not_compared() -> None:
    for patterns, places in ((MAX_PATTERNS, ["Statement[1]"]), (MAX_PATTERNS + 2, [])):
        # each has a resource beside
        actions = [f"ec2:Create{n}" for n in range(patterns // 2 - 1)]
        policy = parse_policy({"Statement": [statement(Action=actions)] * 2})
        assert [finding.place for finding in overlaps(statements_of(policy))] == places


def test_statements_of_a_trust_policy_are_compared_too() -> None:
    anyone = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
    one = anyone | {"Principal": {"AWS": "123456789012"}}
    for made, places in (([anyone, anyone], ["Statement[1]"]), ([anyone, one], [])):
        policy = parse_policy({"Statement": made}, kind=PolicyKind.TRUST)
        assert [finding.place for finding in overlaps(statements_of(policy))] == places


def test_the_other_statement_is_told_by_its_place_and_its_sid() -> None:
    same = [statement(Sid="First"), statement(), statement(Effect="Deny", Sid="No", Action="ec2:*")]
    for made, message, fix in (
        (same[:2], "All that it says, Statement[0] (First) says too.", "Remove it."),
        (same[1:], "All that it allows, Statement[1] (No) denies.", "Remove it, or narrow the Deny."),
        (same[1:2] * 2, "All that it says, Statement[0] says too.", "Remove it."),
    ):
        (finding,) = overlaps(statements_of(parse_policy({"Statement": made})))
        assert (finding.message, finding.fix) == (message, fix)
