"""What simulations cost by their prices: more of anything costs more, and nothing more than is priced."""

import json
import time
from typing import Any

import pytest

from hatchway.access.simulation import Simulation, input_policy

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
