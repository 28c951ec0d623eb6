"""The example policies, each statement and condition mattering: cases/seed.yaml, as data."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hatchway.iam import Policy, PolicySet, Request, decide, evaluate, parse_policy

EXAMPLES = Path(__file__).parents[2] / "examples" / "policies"
SUITE: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "seed.yaml").read_text())


def changed(document: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    statements = [dict(statement) for statement in document["Statement"]]
    if action := change.get("drop_action"):
        for statement in statements:
            listed = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = [kept for kept in listed if kept != action]
        statements = [statement for statement in statements if statement["Action"]]
    if sid := change.get("drop_statement"):
        statements = [statement for statement in statements if statement["Sid"] != sid]
    if edit := change.get("set"):
        sid, element, value = edit
        next(statement for statement in statements if statement["Sid"] == sid)[element] = value
    if further := change.get("add"):
        statements.append(further)
    assert statements != document["Statement"] or not change, "the change changes nothing"
    return document | {"Statement": statements}


def policies_of(case: dict[str, Any]) -> list[Policy]:
    documents = {name: json.loads((EXAMPLES / f"{name}.json").read_text()) for name in case["policies"]}
    return [parse_policy(changed(d, case.get("change", {})), name=name) for name, d in documents.items()]


def request_named(name: str) -> Request:
    source = SUITE["requests"][name]
    resource = source.get("resource", "*")
    return Request(
        source["action"],
        tuple(resource) if isinstance(resource, list) else resource,
        source.get("context", {}),
        tuple(source.get("deny_also", ())),
    )


@pytest.mark.parametrize("case", SUITE["cases"], ids=lambda case: str(case["name"]))
def test_an_example_policy_decides_as_it_says(case: dict[str, Any]) -> None:
    policies = PolicySet(identity=tuple(policies_of(case)))
    requests = [request_named(name) for name in case["requests"]]
    decisions = [evaluate(request, policies) for request in requests]

    assert [decide(request, policies) for request in requests] == [d.outcome for d in decisions]
    outcome = "allowed" if all(decision.allowed for decision in decisions) else "refused"
    assert outcome == case["expect"]
    if sid := case.get("sid"):
        assert sid in {statement.sid for decision in decisions for statement in decision.deciding}
