"""Simulation is enforcement asked about more: on random policies and requests it decides the same."""

import json
from collections import Counter
from random import Random

from tests.iam import generated

from hatchway.access.entities import SourcedPolicy
from hatchway.access.simulation import Simulation, input_policy
from hatchway.iam import Outcome, PolicySet, Request, decide

ROUNDS = 1000


def policies(rng: Random, number: int) -> list[SourcedPolicy]:
    return [input_policy(json.dumps(generated.document(rng)), "same") for _ in range(number)]


def test_simulation_decides_as_enforcement_does() -> None:
    outcomes: Counter[Outcome] = Counter()
    for seed in range(ROUNDS):
        rng = Random(f"simulation {seed}")
        identity, guardrails = policies(rng, rng.choice([1, 2])), policies(rng, rng.choice([0, 0, 1, 2]))
        boundary = rng.choice([None, *policies(rng, 1)])
        simulation = Simulation(identity, boundary, [guardrails] if guardrails else [])
        enforced = PolicySet(
            identity=tuple(source.policy for source in identity),
            boundary=None if boundary is None else boundary.policy,
            guardrails=tuple(source.policy for source in guardrails),
        )
        for _ in range(5):
            request = Request(**generated.request(rng))
            resource = request.resources[0]
            simulated = simulation.run(request.action, resource, request.context)
            expected = decide(Request(request.action, resource, request.context), enforced)

            assert simulated.outcome is expected
            outcomes[expected] += 1
    assert min(outcomes[outcome] for outcome in Outcome) > 50


def test_what_matched_has_the_effect_of_the_outcome_and_stands_where_it_says() -> None:
    effects = {Outcome.ALLOWED: "Allow", Outcome.EXPLICIT_DENY: "Deny"}
    seen = 0
    for seed in range(ROUNDS):
        rng = Random(f"matched {seed}")
        simulation = Simulation(policies(rng, 2))
        request = Request(**generated.request(rng))
        simulated = simulation.run(request.action, request.resources[0], request.context)

        assert bool(simulated.matched) == (simulated.outcome is not Outcome.IMPLICIT_DENY)
        for matched in simulated.matched:
            start, end = matched.span
            assert (start.line, end.line) == (1, 1)
            text = matched.policy.policy.document[start.column - 1 : end.column - 1]
            assert json.loads(text)["Effect"] == effects[simulated.outcome]
            seen += 1
    assert seen > 100
