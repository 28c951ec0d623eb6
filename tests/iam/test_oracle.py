"""The engine and the slow, obvious evaluator of oracle.py agree on random documents and requests.

HATCHWAY_IAM_DECISIONS says how many decisions to compare (10,000 when not set; a million takes some minutes),
and HATCHWAY_IAM_SEED where to begin.
"""

import json
import os
from collections import Counter
from random import Random
from typing import Any

from tests.iam import generated, oracle

from hatchway.iam import (
    Outcome,
    Policy,
    PolicyKind,
    PolicySet,
    Principal,
    PrincipalKind,
    Request,
    decide,
    evaluate,
    evaluate_trust,
    parse_policy,
)

DECISIONS = int(os.environ.get("HATCHWAY_IAM_DECISIONS", "10000"))
SEED = int(os.environ.get("HATCHWAY_IAM_SEED", "0"))
REQUESTS_EACH = 10


def parsed(documents: list[dict[str, Any]]) -> tuple[Policy, ...]:
    """Through JSON text, as documents come."""
    return tuple(parse_policy(json.dumps(document), name=str(n)) for n, document in enumerate(documents))


def test_engine_and_oracle_agree() -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(SEED, SEED + DECISIONS // REQUESTS_EACH):
        rng = Random(seed)
        documents: dict[str, list[dict[str, Any]]] = {
            "guardrail": [generated.document(rng) for _ in range(rng.choice([0, 0, 0, 1, 2]))],
            "boundary": [generated.document(rng) for _ in range(rng.choice([0, 0, 0, 1]))],
            "session": [generated.document(rng) for _ in range(rng.choice([0, 0, 0, 1]))],
            "identity": [generated.document(rng) for _ in range(rng.choice([1, 1, 2, 3]))],
        }
        is_root = rng.random() < 0.1
        layers = [(name, listed) for name, listed in documents.items() if listed or name == "identity"]
        boundary = parsed(documents["boundary"])
        policies = PolicySet(
            identity=parsed(documents["identity"]),
            boundary=boundary[0] if boundary else None,
            session=parsed(documents["session"]) or None,
            guardrails=parsed(documents["guardrail"]),
            is_root=is_root,
        )
        for _ in range(REQUESTS_EACH):
            asked = generated.request(rng)
            expected = oracle.outcome(
                layers,
                asked["action"],
                asked["resource"],
                asked["deny_also"],
                asked["context"],
                is_root=is_root,
            )
            request = Request(**asked)
            outcome = decide(request, policies)
            decision = evaluate(request, policies)
            assert (outcome, decision.outcome) == (expected, expected), (
                seed,
                layers,
                asked,
                decision.to_json(),
            )
            outcomes[outcome] += 1
    assert all(outcomes[outcome] > 0.05 * DECISIONS for outcome in Outcome), outcomes


def test_engine_and_oracle_agree_on_trust_policies() -> None:
    outcomes: Counter[str] = Counter()
    rounds = max(200, DECISIONS // 50)
    for seed in range(SEED, SEED + rounds):
        rng = Random(seed)
        document = generated.trust_document(rng)
        policy = parse_policy(json.dumps(document), kind=PolicyKind.TRUST)
        for caller in generated.CALLERS:
            context = generated.context(rng)
            expected = oracle.trust_outcome(document, "sts:AssumeRole", caller, context)
            principal = Principal(
                caller["arn"], caller["account"], PrincipalKind(caller["kind"]), caller.get("role_arn")
            )
            decision = evaluate_trust(policy, principal, context)
            assert decision.named is not None
            assert (decision.outcome, decision.named.name.lower()) == expected, (
                seed,
                document,
                caller,
                context,
            )
            outcomes[decision.outcome] += 1
    assert all(outcomes[outcome] > 0.05 * rounds for outcome in Outcome), outcomes
