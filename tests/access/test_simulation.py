"""Simulation is enforcement asked about more: on random policies and requests it decides the same."""

import json
from collections import Counter
from random import Random

from tests.iam import generated

from hatchway.access.entities import SourcedPolicy
from hatchway.access.simulation import Simulation, input_policy, keys_asked_about, most_restrictive
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


def conditional(*keys: str) -> SourcedPolicy:
    statements = [
        {
            "Effect": "Allow",
            "Action": "ec2:DescribeVpcs",
            "Resource": "*",
            "Condition": {"StringEquals": {key: "a"}},
        }
        for key in keys
    ]
    return input_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), "p")


def test_prices_are_what_is_spent_before_any_action_and_then_each_actions_on_all_resources() -> None:
    simulation = Simulation([conditional("k", "j")])
    one = list(simulation.prices(["ec2:DescribeVpcs", "iam:GetUser"], ["a"], {}))
    three = list(simulation.prices(["ec2:DescribeVpcs", "iam:GetUser"], ["a", "b", "c"], {}))

    assert len(one) == 3
    assert one[0] == three[0]
    assert three[1] - three[0] == 3 * (one[1] - one[0])
    assert one[1] > one[2], "no statement is about the second action"


def test_missing_are_the_keys_that_an_actions_statements_ask_about_and_the_request_has_not() -> None:
    simulation = Simulation([conditional("k", "j")])

    assert simulation.run("ec2:DescribeVpcs", "*", {"K": "a"}).missing == ("j",)
    assert simulation.run("iam:GetUser", "*", {}).missing == ()


def test_the_keys_of_several_policies_are_each_told_once_as_first_spelled() -> None:
    assert keys_asked_about([conditional("aws:UserAgent", "k"), conditional("K", "j")]) == (
        "aws:UserAgent",
        "k",
        "j",
    )


def test_the_most_restrictive_outcome_counts() -> None:
    allowed, implicit, explicit = Outcome.ALLOWED, Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY

    assert most_restrictive([allowed, explicit, implicit]) is explicit
    assert most_restrictive([allowed, implicit]) is implicit
    assert most_restrictive([allowed]) is allowed
    assert most_restrictive([]) is allowed
