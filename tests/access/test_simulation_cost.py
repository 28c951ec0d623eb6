"""What simulations cost by their prices: more of anything costs more, and nothing more than is priced."""

import json
import time
from typing import Any

import pytest

from hatchway.access.simulation import Simulation, input_policy
from hatchway.access.simulation_cost import A_KEY, A_REQUEST, A_STATEMENT, Compared, Prices, compared
from hatchway.iam import Policy, PolicySet, parse_policy

ARN = "arn:aws:ec2:us-east-1:123456789012:"


def simulation(**elements: Any) -> Simulation:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"} | elements
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    return Simulation([input_policy(document, "p")])


def price(made: Simulation, resource: str = "*", context: dict[str, Any] | None = None) -> int:
    return sum(made.prices(["ec2:A"], [resource], context or {}))


def seconds(made: Simulation, resource: str, context: dict[str, Any]) -> float:
    taken = []
    for _ in range(3):
        start = time.process_time()
        made.run("ec2:A", resource, context)
        taken.append(time.process_time() - start)
    return min(taken)


COSTLY: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "question marks": ({"Resource": ["arn:*:*:*:*:*?b*"] * 300}, ARN + "a" * 1000, {}),
    "long pieces": ({"Resource": ["arn:*:*:*:*:*" + "?a" * 400 + "b*"] * 30}, ARN + "a" * 1900, {}),
    "pieces": ({"Resource": ["arn:*:*:*:*:" + "*a" * 100 + "b*"] * 100}, ARN + "a" * 1000, {}),
    "a condition": ({"Condition": {"StringLike": {"k": ["*?b*"] * 300}}}, "*", {"k": "a" * 1000}),
    "several values": (
        {"Condition": {"ForAnyValue:StringLike": {"k": ["*b*"] * 300}}},
        "*",
        {"k": ("a",) * 100},
    ),
    "variables": (
        {"Condition": {"StringLike": {"k": ["${j}${j}?*"] * 100}}},
        "*",
        {"k": "a" * 1000, "j": "a" * 500},
    ),
}


@pytest.mark.parametrize("case", COSTLY)
def test_a_price_is_in_proportion_to_what_it_pays_for(case: str) -> None:
    """A hundredfold would let a page that is affordable take minutes. The unit is what long patterns take."""
    unit_made, unit_resource, unit_context = COSTLY["long pieces"]
    unit = simulation(**unit_made)
    paid = seconds(unit, unit_resource, unit_context) / price(unit, unit_resource, unit_context)
    elements, resource, context = COSTLY[case]
    made = simulation(**elements)
    assert seconds(made, resource, context) / price(made, resource, context) < 30 * paid


def test_more_of_anything_costs_more() -> None:
    small = price(simulation(Resource=["arn:*:*:*:*:*?b"]), ARN + "a" * 100)
    assert price(simulation(Resource=["arn:*:*:*:*:*?b"] * 2), ARN + "a" * 100) > small
    assert price(simulation(Resource=["arn:*:*:*:*:*?b"]), ARN + "a" * 200) > small
    assert price(simulation(Resource=["arn:*:*:*:*:*?b"]), ARN + "a" * 100, {"k": "a"}) > small
    condition = {"StringEquals": {"k": "a"}}
    assert price(simulation(Resource=["arn:*:*:*:*:*?b"], Condition=condition), ARN + "a" * 100) > small


def test_statements_on_other_actions_cost_but_their_looking_up() -> None:
    patterns = ["arn:*:*:*:*:*?b"] * 500
    other = simulation(Action="iam:A", Resource=patterns)
    assert price(other, ARN + "a" * 1000) < price(simulation(Action="ec2:A"), ARN + "a" * 1000)


def policy(*statements: dict[str, Any]) -> Policy:
    made = [{"Effect": "Allow", "Action": "ec2:A", "Resource": "*"} | each for each in statements]
    return parse_policy({"Version": "2012-10-17", "Statement": made}, name="p")


@pytest.mark.parametrize(
    ("pattern", "characters", "values", "price"),
    [
        ("*", 16_000, 1, 1),
        ("*", 16_000, 3, 3),
        ("arn:aws:s3:::a", 16_000, 1, 1),
        ("arn:aws:s3:::a*", 16_000, 1, 1),
        # half of the pattern, and the value once
        ("arn:aws:s3:::*a", 16_000, 1, 1 + 7 + 32),
        ("arn:aws:s3:::*a", 8, 1, 1 + 4 + 0),
        # an eighth of the value, half of the pattern, and both together where both are long
        ("arn:aws:s3:::?a", 16_000, 1, 1 + 2000 + 7 + 15),
        ("arn:aws:s3:::?a", 1007, 1, 1 + 125 + 7 + 0),
        ("arn:aws:s3:::?*a", 16_000, 2, 2 + 2000 + 8 + 16),
        ("arn:aws:s3:::?a", 8, 1, 1 + 1 + 4 + 0),
        # the pattern is compiled with the longest value in each variable's place
        ("arn:aws:s3:::${aws:userid}", 16_000, 1, 1 + 30 + 4006),
        ("arn:aws:s3:::${aws:userid}${k:k}", 16_000, 3, 3 + 30 + 8008),
        ("arn:aws:s3:::${aws:userid}?", 16_000, 1, 1 + 30 + 4006 + 2000 + 13 + 27),
    ],
)
def test_the_price_of_a_pattern_is_that_of_one_comparison_with_the_longest_value(
    pattern: str, characters: int, values: int, price: int
) -> None:
    prices = Prices([PolicySet((policy({"Resource": pattern}),))], Compared(characters, values))

    assert prices.of_request("ec2:A", 0, {}) == A_REQUEST + A_STATEMENT + price


def test_a_request_pays_for_its_keys_each_set_of_policies_and_the_statements_on_its_action() -> None:
    condition = {"Condition": {"StringLike": {"k": ["a", "b"]}, "StringEquals": {"j": "c"}}}
    identity = policy({"Resource": ["arn:aws:s3:::a", "arn:aws:s3:::b"], **condition}, {"Action": "ec2:B"})
    sets = [
        PolicySet((identity,), boundary=policy({})),
        PolicySet(guardrails=(policy({}, {}),), is_root=True),
    ]
    prices = Prices(sets, Compared(100, 1))

    # on ec2:A: patterns and values of the first policy's first statement, one of each of three others
    assert prices.of_request("ec2:A", 3, {"k": "a", "j": "b"}) == (
        2 * A_REQUEST + 5 * A_KEY + 4 * A_STATEMENT + 5 + 3
    )
    assert prices.of_request("ec2:B", 0, {}) == 2 * A_REQUEST + A_STATEMENT + 1
    assert prices.of_request("ec2:C", 0, {}) == 2 * A_REQUEST


def test_looking_up_costs_what_the_patterns_of_all_actions_do() -> None:
    sets = [PolicySet((policy({"Action": ["ec2:A", "ec2:*Tags"]}, {"Action": "ec2:B"}),))]

    assert Prices(sets, Compared(1000, 1)).of_looking_up == 1 + (1 + 4 + 2) + 1
    assert Prices([], Compared(1000, 1)).of_looking_up == 0


def test_policies_are_held_against_the_longest_value_and_the_most_of_one_key() -> None:
    context: dict[str, str | tuple[str, ...]] = {"k": "12345", "j": ("123", "45", "6")}

    assert compared(["ec2:A"], ["*"], context) == Compared(6, 3)
    assert compared(["ec2:Actions"], ["*"], context) == Compared(11, 3)
    assert compared(["ec2:A"], ["*", "arn:aws:s3"], {}) == Compared(10, 1)
    assert compared([], [], {}) == Compared(0, 1)
