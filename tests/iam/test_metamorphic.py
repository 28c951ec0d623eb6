"""What no change to a policy may do to a decision, on random documents and requests."""

from collections.abc import Iterator
from random import Random
from typing import Any

from tests.iam import generated

from hatchway.iam import Outcome, Policy, PolicySet, Request, decide, parse_policy

ROUNDS = 500


def cases() -> Iterator[tuple[Random, list[dict[str, Any]], list[Request]]]:
    """A random number generator, documents, requests."""
    for seed in range(ROUNDS):
        rng = Random(f"metamorphic {seed}")
        documents = [generated.document(rng) for _ in range(rng.choice([1, 2]))]
        yield rng, documents, [Request(**generated.request(rng)) for _ in range(5)]


def parsed(documents: list[dict[str, Any]]) -> tuple[Policy, ...]:
    return tuple(map(parse_policy, documents))


def statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document["Statement"]
    return list(statements) if isinstance(statements, list) else [statements]


def statement(rng: Random, effect: str) -> dict[str, Any]:
    return generated.statement(rng, "2012-10-17") | {"Effect": effect}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_adding_a_deny_never_allows() -> None:
    changed = 0
    for rng, documents, requests in cases():
        before = PolicySet(parsed(documents))
        after = PolicySet((*before.identity, parse_policy(document(statement(rng, "Deny")))))
        for request in requests:
            then = decide(request, after)
            assert then is decide(request, before) or then is Outcome.EXPLICIT_DENY
            changed += then is not decide(request, before)
    assert changed > 20


def test_adding_an_allow_never_denies() -> None:
    changed = 0
    for rng, documents, requests in cases():
        before = PolicySet(parsed(documents))
        after = PolicySet((*before.identity, parse_policy(document(statement(rng, "Allow")))))
        for request in requests:
            then = decide(request, after)
            assert then is decide(request, before) or then is Outcome.ALLOWED
            changed += then is not decide(request, before)
    assert changed > 20


def test_the_order_of_statements_and_policies_never_matters() -> None:
    for rng, documents, requests in cases():
        shuffled = []
        for each in documents:
            statements = statements_of(each)
            rng.shuffle(statements)
            shuffled.append(each | {"Statement": statements})
        rng.shuffle(shuffled)
        before, after = PolicySet(parsed(documents)), PolicySet(parsed(shuffled))
        for request in requests:
            assert decide(request, after) is decide(request, before)


def split(each: dict[str, Any], element: str) -> dict[str, Any]:
    parts = []
    for one in statements_of(each):
        values = one.get(element)
        parts += [one | {element: value} for value in values] if isinstance(values, list) else [one]
    return each | {"Statement": parts}


def test_splitting_a_statement_by_action_or_resource_never_matters() -> None:
    for _, documents, requests in cases():
        before = PolicySet(parsed(documents))
        for element in ("Action", "Resource"):
            after = PolicySet(parsed([split(each, element) for each in documents]))
            for request in requests:
                assert decide(request, after) is decide(request, before)


def test_adding_a_boundary_session_policy_or_guardrail_never_allows() -> None:
    narrowed = 0
    for rng, documents, requests in cases():
        identity = parsed(documents)
        further = parse_policy(generated.document(rng))
        before = PolicySet(identity)
        narrower = (
            PolicySet(identity, boundary=further),
            PolicySet(identity, session=(further,)),
            PolicySet(identity, guardrails=(further,)),
        )
        for request in requests:
            for after in narrower:
                if decide(request, before) is not Outcome.ALLOWED:
                    assert decide(request, after) is not Outcome.ALLOWED
                else:
                    narrowed += decide(request, after) is not Outcome.ALLOWED
    assert narrowed > 20


def test_keys_that_no_policy_mentions_never_matter() -> None:
    for _, documents, requests in cases():
        policies = PolicySet(parsed(documents))
        for request in requests:
            wider = Request(
                request.action,
                request.resource,
                {**request.context, "other:Key": "x", "other:Keys": ("y", "z")},
                request.deny_also,
            )
            assert decide(wider, policies) is decide(request, policies)
