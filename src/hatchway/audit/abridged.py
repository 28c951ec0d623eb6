"""Values made smaller for the audit trail, with a mark at each place where something was left out. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class _Measure:
    """How much of a value stays: characters of a text, items of a list or object, levels."""

    text: int
    items: int
    levels: int


_MEASURES: Final = (_Measure(1024, 100, 12), _Measure(256, 20, 8), _Measure(64, 8, 5))


def abridged(value: Any, most: int) -> Any:
    """`value`, of JSON's types, in at most `most` characters of JSON.

    What fits stays as it is. Else long texts, long lists and deep levels are cut, and each cut says how much
    is missing; if that is not enough, only the size is told, as CloudTrail does.
    """
    size = len(json.dumps(value))
    if size <= most:
        return value
    for measure in _MEASURES:
        less = _cut(value, measure, measure.levels)
        if len(json.dumps(less)) <= most:
            return less
    return {"omitted": True, "originalSize": size, "reason": f"larger than {most} characters"}


def cut_text(text: str, most: int) -> str:
    """`text`, in at most about `most` characters."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most} characters left out)"


def _cut(value: Any, measure: _Measure, levels: int) -> Any:
    match value:
        case str():
            return cut_text(value, measure.text)
        case Mapping() | list() | tuple() if value and not levels:
            return f"… ({len(value)} left out)"
        case Mapping():
            some = {
                cut_text(str(key), measure.text): _cut(item, measure, levels - 1)
                for key, item in list(value.items())[: measure.items]
            }
            return (
                some if len(value) <= measure.items else {**some, "…": f"({len(value) - len(some)} left out)"}
            )
        case list() | tuple():
            return _cut_list(value, measure, levels)
    return value


def _cut_list(value: Sequence[Any], measure: _Measure, levels: int) -> list[Any]:
    some = [_cut(item, measure, levels - 1) for item in value[: measure.items]]
    return some if len(value) <= measure.items else [*some, f"… ({len(value) - measure.items} more left out)"]
