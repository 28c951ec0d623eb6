"""What lint finds by what it is told of services: actions, resource types, condition keys."""

from typing import Any

import pytest
from tests.iam.lint.cases import FACTS, OF_SERVICES, findings, statement

from hatchway.iam import parse_policy
from hatchway.iam.lint import lint


@pytest.mark.parametrize(("made", "expected"), OF_SERVICES, ids=range(len(OF_SERVICES)))
def test_a_statement_is_held_against_what_its_services_have(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


def test_a_misspelt_name_comes_with_the_right_one() -> None:
    made = statement(Action="ec2:CreateTag", Condition={"StringEquals": {"aws:SourceIPs": "x"}})
    policy = parse_policy({"Version": "2012-10-17", "Statement": made})
    fixes = {finding.code: finding.fix for finding in lint(policy, FACTS)}
    assert "ec2:CreateTags" in fixes["unknown-action"]
    assert "aws:sourceip" in fixes["unknown-condition-key"]
