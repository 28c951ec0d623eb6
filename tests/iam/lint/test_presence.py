"""What lint finds in conditions on keys that no request carries, or all with one value."""

from typing import Any

import pytest
from tests.iam.lint.cases import OF_PRESENCE, findings, statement

from hatchway.iam import parse_policy
from hatchway.iam.lint import lint


@pytest.mark.parametrize(("made", "expected"), OF_PRESENCE, ids=range(len(OF_PRESENCE)))
def test_a_condition_that_every_request_meets_alike_is_found(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            statement(Effect="Deny", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
            "No request carries aws:PrincipalOrgID here (accounts belong to no organization), so that the "
            "statement never denies anything.",
        ),
        (
            statement(Effect="Deny", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}),
            "No request carries aws:MultiFactorAuthPresent here (all credentials are long-term access keys), "
            "so that this condition is always met.",
        ),
        (
            statement(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}}),
            "Every request carries aws:PrincipalIsAWSService with the value false, so that the statement "
            "never allows anything.",
        ),
    ],
)
def test_a_key_that_no_request_carries_is_told_with_what_comes_of_it(
    made: dict[str, Any], message: str
) -> None:
    assert [finding.message for finding in lint(parse_policy({"Statement": made}))] == [message]
