"""What a file does to an account, as the plan tells it."""

import json
from typing import Any

import pytest
import yaml

from hatchway.control.fleet import plan_json, plan_lines
from hatchway.control.fleet.plan import make_plan
from tests.control.fleet.accounts import EMPTY, HERE, LATER, NOW, account_of, carried_out, fleet

CASES = yaml.safe_load((HERE / "planned.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_plan_tells_what_a_file_does_and_nothing_is_left_to_do_after_it(case: dict[str, Any]) -> None:
    before = case.get("before", [])
    view = account_of(*([before] if isinstance(before, str) else before))
    prune = case.get("prune", False)
    plan = make_plan(fleet(case["file"]), view, now=LATER, prune=prune)
    assert list(plan_lines(plan)) == case["plan"]
    again = make_plan(fleet(case["file"]), carried_out(view, plan), now=LATER, prune=prune)
    assert again.empty
    assert again.changes == ()
    assert plan.empty == (plan.changes == ())
