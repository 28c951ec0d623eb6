"""Whether a statement with one condition applies."""

from typing import Any

from hatchway.iam import Outcome, PolicySet, Request, decide, evaluate, parse_policy

ABSENT = None
Given = str | tuple[str, ...] | None


def holds(operator: str, value: Any, given: Given, *, key: str = "x:Key", **others: str) -> bool:
    """Whether a statement under this one condition applies; the explaining reading must agree."""
    condition = {operator: {key: value}}
    statement = {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": condition}
    policies = PolicySet(identity=(parse_policy({"Version": "2012-10-17", "Statement": statement}),))
    context: dict[str, str | tuple[str, ...]] = {} if given is None else {"x:Key": given}
    request = Request(
        "a:b", context=context | {name.replace("_", ":"): text for name, text in others.items()}
    )
    outcome = decide(request, policies)
    assert evaluate(request, policies).outcome is outcome
    return outcome is Outcome.ALLOWED
