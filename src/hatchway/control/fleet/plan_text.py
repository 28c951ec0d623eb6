"""A plan for reading: as lines of text, and as JSON."""

import json
from collections.abc import Iterable
from typing import Any, Final

from hatchway.control.fleet.plan import Action, Change, FieldChange, Plan

_SIGNS: Final = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}
_LONGEST_VALUE: Final = 120


def plan_lines(plan: Plan) -> Iterable[str]:
    """One line for each thing, indented lines for its parts, and the sum at the end."""
    for change in plan.changes:
        yield change_line(change)
        yield from (f"    {_field_text(field)}" for field in change.fields)
        yield from (f"    {note}" for note in change.notes)
    # Words that are right before it is applied and after.
    counts = [f"{action} {plan.count(action)}" for action in Action]
    yield f"{', '.join(counts)}, unchanged {plan.unchanged}"


def change_line(change: Change) -> str:
    """Such as `+ instance web-1 (i-0123456789abcdef0)`."""
    name = f" {change.name}" if change.name else ""
    id_ = f" ({change.id})" if change.id and change.id != change.name else ""
    return f"{_SIGNS[change.action]} {change.kind}{name}{id_}"


def _field_text(field: FieldChange) -> str:
    name = field.field if field.field.isprintable() else json.dumps(field.field)
    if _is_document(field.old) or _is_document(field.new):
        verb = "removed" if field.new is None else "added" if field.old is None else "changed"
        return f"{name}: document {verb}"
    return f"{name}: {_value_text(field.old)} → {_value_text(field.new)}"


def _is_document(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("{")


def _value_text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "(none)"
    if isinstance(value, str) and value.isprintable():
        text = value
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = f"[{', '.join(value)}]"
    else:
        text = json.dumps(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def plan_json(plan: Plan) -> dict[str, Any]:
    """The whole plan as JSON takes it."""
    return {
        "created": plan.count(Action.CREATE),
        "changed": plan.count(Action.CHANGE),
        "deleted": plan.count(Action.DELETE),
        "unchanged": plan.unchanged,
        "changes": [
            {
                "action": str(change.action),
                "kind": change.kind,
                "name": change.name,
                "id": change.id,
                "fields": [
                    {"field": field.field, "old": field.old, "new": field.new} for field in change.fields
                ],
                "notes": list(change.notes),
            }
            for change in plan.changes
        ],
    }
