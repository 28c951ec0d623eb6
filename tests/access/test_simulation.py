"""Simulation is enforcement asked about more: on random policies and requests it decides the same."""

import json
from collections import Counter
from random import Random

import pytest
from tests.iam import generated

from hatchway.access.entities import SourcedPolicy
from hatchway.access.simulation import (
    Simulated,
    Simulation,
    input_policy,
    keys_asked_about,
    most_restrictive,
)
from hatchway.access.simulation_cost import A_KEY, A_REQUEST, A_STATEMENT
from hatchway.iam import Layer, Outcome, PolicySet, Request, decide

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


def test_an_action_is_paid_for_its_keys_and_for_the_statements_on_it_of_all_policies_and_levels() -> None:
    level = [conditional("k"), conditional("l")]
    simulation = Simulation([conditional("k", "j")], conditional("i"), [level, [conditional("k")]])
    looking_up = 2 + 1 + 2 + 1
    # three sets of policies; the keys that identity and boundary policies ask about, and the request's one;
    # six statements, each with a resource and a value
    each = 3 * A_REQUEST + (3 + 1) * A_KEY + 6 * (A_STATEMENT + 2)

    assert list(simulation.prices(["ec2:DescribeVpcs"], ["a", "b"], {"k": "v"})) == [
        looking_up,
        looking_up + 2 * each,
    ]


def made(name: str, *effects: str) -> SourcedPolicy:
    statements = [{"Effect": effect, "Action": "ec2:DescribeVpcs", "Resource": "*"} for effect in effects]
    return input_policy(json.dumps({"Version": "2012-10-17", "Statement": statements}), name)


def run(simulation: Simulation) -> Simulated:
    return simulation.run("ec2:DescribeVpcs", "*", {})


def test_a_policy_that_a_request_brings_has_its_name_and_a_type_of_its_own() -> None:
    assert (made("p", "Allow").id, made("p", "Allow").type) == ("p", "none")


def test_a_statement_that_matched_is_of_its_policy_whatever_others_are_called() -> None:
    first, second, boundary = made("same", "Allow"), made("same", "Allow", "Deny"), made("same", "Deny")
    allowing = made("same", "Allow")

    simulated = run(Simulation([first, second], allowing))
    (matched,) = simulated.matched
    assert (simulated.resource, simulated.outcome) == ("*", Outcome.EXPLICIT_DENY)
    assert simulated.layers == {Layer.BOUNDARY: Outcome.ALLOWED, Layer.IDENTITY: Outcome.EXPLICIT_DENY}
    assert matched.policy is second
    assert matched.index == 1
    simulated = run(Simulation([first, allowing], boundary))
    assert [matched.policy is boundary for matched in simulated.matched] == [True]
    assert simulated.layers == {Layer.BOUNDARY: Outcome.EXPLICIT_DENY, Layer.IDENTITY: Outcome.ALLOWED}


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ([["Allow"], ["Allow"]], Outcome.ALLOWED),
        ([["Allow"], []], Outcome.IMPLICIT_DENY),
        ([[], ["Deny"]], Outcome.EXPLICIT_DENY),
    ],
)
def test_each_level_of_guardrails_must_allow_and_of_none_it_is_told_which_statement_matched(
    levels: list[list[str]], said: Outcome
) -> None:
    other = input_policy(
        json.dumps({"Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}), "o"
    )
    guardrails = [[other, *(made("level", effect) for effect in level)] for level in levels]
    simulated = run(Simulation([made("p", "Allow")], levels=guardrails))

    assert simulated.outcome is said
    assert simulated.layers == {Layer.IDENTITY: Outcome.ALLOWED, Layer.GUARDRAIL: said}
    assert len(simulated.matched) == (said is Outcome.ALLOWED)


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
