"""A plan for reading: as lines of text, and as JSON."""

import json
from collections.abc import Iterable, Sequence
from difflib import unified_diff
from typing import Any, Final

from hatchway.fleet.plan import Action, Change, FieldChange, Plan

_SIGNS: Final = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}
_LONGEST_PAIR: Final = 120
"""Characters of a value before and after that are told on one line."""
_CONTEXT: Final = 3
"""Lines about what changes, as every diff has them."""


def plan_lines(plan: Plan) -> Iterable[str]:
    """One line for each thing, indented lines for all that changes in it, and the sum at the end."""
    for change in plan.changes:
        yield change_line(change)
        yield from (f"    {line}" for field in change.fields for line in _field_lines(field))
        yield from (f"    {note}" for note in change.notes)
    # Words that are right before it is applied and after.
    counts = [f"{action} {plan.count(action)}" for action in Action]
    yield f"{', '.join(counts)}, unchanged {plan.unchanged}"


def change_line(change: Change) -> str:
    """Such as `+ instance web-1 (i-0123456789abcdef0)`."""
    name = f" {change.name}" if change.name else ""
    id_ = f" ({change.id})" if change.id and change.id != change.name else ""
    return f"{_SIGNS[change.action]} {change.kind}{name}{id_}"


def _field_lines(field: FieldChange) -> Iterable[str]:
    """`name: before → after`; or what goes and what comes line by line, where either is more than a line."""
    name = field.field if field.field.isprintable() else json.dumps(field.field)
    if _is_document(field.old) or _is_document(field.new):
        verb = "removed" if field.new is None else "added" if field.old is None else "changed"
        yield f"{name}: document {verb}"
        yield from _difference(_document_lines(field.old), _document_lines(field.new))
        return
    old, new = _value_text(field.old), _value_text(field.new)
    if len(old) + len(new) <= _LONGEST_PAIR and not (_is_rules(field.old) or _is_rules(field.new)):
        yield f"{name}: {old} → {new}"
    else:
        yield f"{name}:"
        yield from _difference(_items(field.old), _items(field.new))


def _difference(old: Sequence[str], new: Sequence[str]) -> Iterable[str]:
    """What goes with a minus and what comes with a plus, among some lines of what stays."""
    lines = list(unified_diff(old, new, n=_CONTEXT, lineterm=""))
    if not lines:
        yield "  (only white space, or the order of keys)"
    for number, line in enumerate(lines[2:]):  # after the names of two files
        if not line.startswith("@@"):
            yield f"  {line[0]} {line[1:]}".rstrip()
        elif number:
            yield "  …"


def _is_document(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("{")


def _is_rules(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def _document_lines(text: str | None) -> list[str]:
    if text is None:
        return []
    try:
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        # It says more than Python reads, such as a number of 5,000 digits: as it stands, then.
        text = text.replace("\t", "  ")
    return [_visible(line) for line in text.split("\n")]


def _items(value: Any) -> list[str]:
    if not isinstance(value, list):
        return [] if value is None else [_value_text(value)]
    return [_value_text(item) for item in value]


def _value_text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "(none)"
    if isinstance(value, str):
        return value if value.isprintable() else json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_value_text(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


def _visible(line: str) -> str:
    """The text without characters that a terminal would interpret, or not show."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


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
