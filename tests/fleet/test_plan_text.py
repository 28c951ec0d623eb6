"""A plan for reading: as lines of text, and as JSON."""

import json

import pytest
from tests.fleet.accounts import LATER, account_of, fleet
from tests.fleet.cases import Case, check_planned, planned

from hatchway.fleet import plan_json, plan_lines
from hatchway.fleet.plan import Action, Change, FieldChange, Plan, Writes, make_plan


@pytest.mark.parametrize("case", planned("plan_text"))
def test_a_plan_is_told_line_by_line(case: Case) -> None:
    check_planned(case)


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


def told(*fields: FieldChange) -> list[str]:
    """The lines of a plan that changes these fields of a thing."""
    change = Change(action=Action.CHANGE, kind="thing", name="x", id="x", fields=fields)
    lines = list(plan_lines(Plan(changes=(change,), unchanged=0, writes=Writes())))
    assert (lines[0], lines[-1]) == ("~ thing x", "create 0, change 1, delete 0, unchanged 0")
    return [line.removeprefix("    ") for line in lines[1:-1]]


def test_a_value_that_is_long_is_told_item_by_item() -> None:
    long = [f"group-{number:020}" for number in range(6)]
    assert told(FieldChange("groups", long, long[1:])) == [
        "groups:",
        f"  - {long[0]}",
        *(f"    {name}" for name in long[1:4]),
    ]
    assert told(FieldChange("description", "x" * 130, None)) == ["description:", f"  - {'x' * 130}"]


def test_a_document_that_only_looks_different_is_said_to_be_the_same() -> None:
    assert told(FieldChange("document", '{"a": 1}', '{"a":  1}')) == [
        "document: document changed",
        "  (only white space, or the order of keys)",
    ]


def test_a_document_that_python_cannot_read_is_told_as_it_stands() -> None:
    assert told(FieldChange("document", None, "{\n\t\x1b no JSON\n}")) == [
        "document: document added",
        "  + {",
        "  +   \\u001b no JSON",
        "  + }",
    ]


def test_what_a_terminal_would_act_on_is_spelled_out() -> None:
    assert told(FieldChange("tags.\x1b", "\x1b", {"k": ["v", True]})) == [
        '"tags.\\u001b": "\\u001b" → {k: [v, true]}'
    ]
