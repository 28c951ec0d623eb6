"""Fleet files as test cases: what is refused and why, and what is planned. Modules may share a case."""

from typing import Any

import pytest
import yaml
from tests.fleet.accounts import EMPTY, HERE, LATER, NOW, account_of, carried_out, fleet

from hatchway.fleet.plan import make_plan
from hatchway.fleet.plan_text import plan_lines
from hatchway.fleet.problems import BadFleet

Case = dict[str, Any]
REFUSED = yaml.safe_load((HERE / "refused.yaml").read_text())
PLANNED = yaml.safe_load((HERE / "planned.yaml").read_text())


def refused(module: str) -> list[Any]:
    """The cases of a module that are refused."""
    return [pytest.param(case, id=case["name"]) for case in REFUSED if module in case["of"]]


def planned(module: str) -> list[Any]:
    """The cases of a module that are planned."""
    return [pytest.param(case, id=case["name"]) for case in PLANNED if module in case["of"]]


def check_refused(case: Case) -> None:
    """The file is refused with every problem, each with its place, and no other."""
    view = account_of(case["before"]) if "before" in case else EMPTY
    with pytest.raises(BadFleet) as refusal:
        make_plan(fleet(case["file"]), view, now=NOW, prune=case.get("prune", False))
    assert str(refusal.value).splitlines() == case["problems"]


def check_planned(case: Case) -> None:
    """The plan is told as in the case, and nothing is left to do after it."""
    before = case.get("before", [])
    view = account_of(*([before] if isinstance(before, str) else before))
    prune = case.get("prune", False)
    plan = make_plan(fleet(case["file"]), view, now=LATER, prune=prune)
    assert list(plan_lines(plan)) == case["plan"]
    again = make_plan(fleet(case["file"]), carried_out(view, plan), now=LATER, prune=prune)
    assert again.empty
    assert again.changes == ()
    assert plan.empty == (plan.changes == ())
