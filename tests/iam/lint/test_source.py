"""Where the parts of a statement under lint stand in its document."""

from typing import Any

from hatchway.iam import Policy, PolicyKind, parse_policy
from hatchway.iam.lint.source import Linted, statements_of
from hatchway.iam.patterns import Wildcard

ANY = Wildcard.ANY_RUN


def policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    return parse_policy({"Version": version, "Statement": list(statements)})


def linted(version: str = "2012-10-17", **elements: Any) -> Linted:
    other = {"Effect": "Deny", "Action": "a:b", "Resource": "*"}
    return statements_of(policy(other, {"Effect": "Allow"} | elements, version=version))[1]


def test_a_lone_text_has_the_place_of_its_element_and_a_listed_one_its_index() -> None:
    lone = linted(Action="a:b", Resource="*", Condition={"Bool": {"x:y": "true"}})
    assert [*lone.actions()] == [("Statement[1].Action", "a:b")]
    assert [*lone.resources()] == [("Statement[1].Resource", "*")]
    (condition,) = lone.statement.conditions
    assert lone.condition_place(condition) == "Statement[1].Condition.Bool.x:y"
    assert [*lone.condition_values(condition)] == [("Statement[1].Condition.Bool.x:y", "true")]

    listed = linted(NotAction=["a:b", "a:c"], NotResource=["*"], Condition={"Bool": {"x:y": [True, "false"]}})
    assert [*listed.actions()] == [("Statement[1].NotAction[0]", "a:b"), ("Statement[1].NotAction[1]", "a:c")]
    assert [*listed.resources()] == [("Statement[1].NotResource[0]", "*")]
    (condition,) = listed.statement.conditions
    assert [*listed.condition_values(condition)] == [
        ("Statement[1].Condition.Bool.x:y[0]", "true"),
        ("Statement[1].Condition.Bool.x:y[1]", "false"),
    ]


def test_a_statement_knows_its_place_and_whether_it_allows() -> None:
    denying, allowing = statements_of(
        policy(
            {"Effect": "Deny", "Action": "a:b", "Resource": "*"},
            {"Effect": "Allow", "Action": "a:b", "Resource": "*"},
        )
    )
    assert (denying.place, denying.allows) == ("Statement[0]", False)
    assert (allowing.place, allowing.allows) == ("Statement[1]", True)


def test_the_statement_of_a_trust_policy_has_no_resources() -> None:
    trusting = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}
    (only,) = statements_of(parse_policy({"Statement": trusting}, kind=PolicyKind.TRUST))
    assert [*only.resources()] == []
    assert only.place == "Statement[0]"


def test_a_number_reads_as_the_document_writes_it() -> None:
    text = '{"Statement": {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": '
    text += '{"NumericEquals": {"x:y": [1.50, 7]}}}}'
    (only,) = statements_of(parse_policy(text))
    assert only.source["Condition"] == {"NumericEquals": {"x:y": ["1.50", "7"]}}


def test_a_variable_stands_for_any_text_under_the_version_that_has_them() -> None:
    new = linted(Action="a:b", Resource="*")
    assert new.tokens("a/${aws:username}/?*") == ("a/", ANY, "/", Wildcard.ANY_ONE, ANY)
    assert new.has_variable("a/${aws:username}")
    assert not new.has_variable("a/*")

    old = linted(Action="a:b", Resource="*", version="2008-10-17")
    assert old.tokens("a/${x}*") == ("a/${x}", ANY)
    assert not old.has_variable("a/${aws:username}")
