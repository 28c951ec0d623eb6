"""What lint finds in conditions on keys that no request carries, or all with one value."""

from typing import Any

import pytest
from tests.iam.lint.cases import CONDITION, OF_PRESENCE, findings, statement

from hatchway.iam import parse_policy
from hatchway.iam.lint import Finding, lint


@pytest.mark.parametrize(("made", "expected"), OF_PRESENCE, ids=range(len(OF_PRESENCE)))
def test_a_condition_that_every_request_meets_alike_is_found(
    made: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert findings(made) == expected


NO_ORGANIZATION = "No request carries aws:PrincipalOrgID here (accounts belong to no organization)"
ASK_ANOTHER = "Ask about a key that requests carry, or remove the statement."
REMOVE = "Remove the statement, or the condition if the rest is meant."
TOLD = [
    (
        statement(Effect="Deny", Condition={"StringEquals": {"x:y": "z", "aws:PrincipalOrgID": "o-1"}}),
        "absent-condition-key",
        CONDITION + "StringEquals.aws:PrincipalOrgID",
        f"{NO_ORGANIZATION}, so that the statement never denies anything.",
        ASK_ANOTHER,
    ),
    (
        statement(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        "absent-condition-key",
        CONDITION + "StringEquals.aws:PrincipalOrgID",
        f"{NO_ORGANIZATION}, so that the statement never allows anything.",
        ASK_ANOTHER,
    ),
    (
        statement(Effect="Deny", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
        "absent-condition-key",
        CONDITION + "StringNotEquals.aws:PrincipalOrgID",
        f"{NO_ORGANIZATION}, so that this condition is always met.",
        "Remove the condition, unless every request is meant.",
    ),
    (
        statement(Condition={"Bool": {"aws:PrincipalIsAWSService": "true"}}),
        "unmeetable-condition",
        CONDITION + "Bool.aws:PrincipalIsAWSService",
        "Every request carries aws:PrincipalIsAWSService with the value false, so that the statement never "
        "allows anything.",
        REMOVE,
    ),
    (
        statement(Effect="Deny", Condition={"Null": {"AWS:SourceIp": "true"}}),
        "unmeetable-condition",
        CONDITION + "Null.AWS:SourceIp",
        "Every request carries AWS:SourceIp, so that the statement never denies anything.",
        REMOVE,
    ),
    (
        statement(
            Resource="arn:aws:ec2:*:*:subnet/${aws:username}${AWS:principalorgid}",
            Condition={"StringEquals": {"aws:username": "a"}},
        ),
        "absent-condition-key",
        "Statement[0].Resource",
        NO_ORGANIZATION + ": 'arn:aws:ec2:*:*:subnet/${aws:username}${AWS:principalorgid}' equals nothing.",
        "Use a variable that has a value, or give it a default.",
    ),
]


@pytest.mark.parametrize(("made", "code", "place", "message", "fix"), TOLD, ids=range(len(TOLD)))
def test_a_finding_says_where_what_comes_of_it_and_what_to_do(
    made: dict[str, Any], code: str, place: str, message: str, fix: str
) -> None:
    assert lint(parse_policy({"Version": "2012-10-17", "Statement": made})) == (
        Finding(code, place, message, fix),
    )


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:ViaAWSService": "${aws:username}"}},
        {"Null": {"aws:SourceIp": "false"}},
        {"StringEquals": {"aws:PrincipalArn": "x"}},
        {"Bool": {"aws:ViaAWSService": "false"}},
    ],
)
def test_a_condition_that_some_request_may_meet_is_not(condition: dict[str, dict[str, str]]) -> None:
    made = {"Version": "2012-10-17", "Statement": statement(Condition=condition)}
    assert lint(parse_policy(made)) == ()


def test_before_version_2012_there_are_no_variables_to_be_without_a_value() -> None:
    made = statement(Condition={"StringEquals": {"aws:username": "${aws:PrincipalOrgID}"}})

    assert lint(parse_policy({"Version": "2008-10-17", "Statement": made})) == ()
