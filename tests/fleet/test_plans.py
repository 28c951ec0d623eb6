"""What a file does to an account, as the plan tells it."""

import json
from typing import Any

import pytest
import yaml
from tests.fleet.accounts import HERE, LATER, account_of, carried_out, fleet

from hatchway.fleet import plan_json, plan_lines
from hatchway.fleet.plan import make_plan

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


def test_a_plan_is_told_in_json_with_both_values_of_every_field() -> None:
    view = account_of("users: {alice: {tags: {team: web}}, bob: {}}")
    plan = make_plan(fleet("users: {alice: {path: /x/}, carol: {}}"), view, now=LATER, prune=True)
    told = plan_json(plan)
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "created": 1,
        "changed": 1,
        "deleted": 1,
        "unchanged": 0,
        "changes": [
            {
                "action": "change",
                "kind": "user",
                "name": "alice",
                "id": "AIDAX47RQ4U4GD2F3GAKS",
                "fields": [
                    {"field": "path", "old": "/", "new": "/x/"},
                    {"field": "tags.team", "old": "web", "new": None},
                ],
                "notes": [],
            },
            {
                "action": "create",
                "kind": "user",
                "name": "carol",
                "id": "AIDALNTLALLNHKPIHEPOB",
                "fields": [],
                "notes": [],
            },
            {
                "action": "delete",
                "kind": "user",
                "name": "bob",
                "id": "AIDA5GP4NIFWM7HEKMGUX",
                "fields": [],
                "notes": [],
            },
        ],
    }


def test_text_of_a_file_cannot_move_the_terminals_cursor() -> None:
    view = account_of(
        'users: {"a": {tags: {k: v}}}\nvpcs: {v: {cidr: 10.0.0.0/8, tags: {"\u202ek": "\u2066x"}}}'
    )
    plan = make_plan(fleet("vpcs: {v: {cidr: 10.0.0.0/8}}"), view, now=LATER)
    assert all(line.isprintable() for line in plan_lines(plan))
