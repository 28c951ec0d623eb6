"""Random values of a service model's shapes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from hatchway.protocol.violations import compile_pattern

if TYPE_CHECKING:
    from botocore.model import Shape

_XML_TEXT = st.characters(
    codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"
) | (st.sampled_from("\t\n\r <>&\"'%+;="))
_LONGEST = 24
_INTEGERS = {"integer": 31, "long": 63}


@dataclass(frozen=True)
class Limits:
    """What a protocol cannot say.

    Attributes:
        empty_lists, empty_structures: whether there may be any; maps count as structures.
        step: microseconds to whose multiples timestamps are rounded.
    """

    empty_lists: bool = True
    empty_structures: bool = True
    step: int = 1


def values(shape: Shape, limits: Limits) -> st.SearchStrategy[Any]:
    """Values that the model allows for `shape` and that are within `limits`."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "structure":
            inner = structures(shape, limits)
            return inner if limits.empty_structures or not shape.members else inner.filter(bool)
        case "list":
            shortest = max(least or 0, 0 if limits.empty_lists else 1)
            longest = max(shortest, min(3, 3 if most is None else most))
            return st.lists(values(shape.member, limits), min_size=shortest, max_size=longest)
        case "map":
            shortest = 0 if limits.empty_structures else 1
            return st.dictionaries(
                values(shape.key, limits), values(shape.value, limits), min_size=shortest, max_size=3
            )
        case "string":
            return _strings(shape)
        case "integer" | "long" as name:
            lowest, highest = -(1 << _INTEGERS[name]), (1 << _INTEGERS[name]) - 1
            return st.integers(lowest if least is None else least, highest if most is None else most)
        case "boolean":
            return st.booleans()
        case "float" | "double":
            return st.floats(-1e6, 1e6, allow_nan=False, width=32)
        case "blob":
            return st.binary(min_size=least or 0, max_size=max(least or 0, 32))
        case "timestamp":
            moments = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
            return moments.map(
                lambda moment: moment.replace(microsecond=moment.microsecond // limits.step * limits.step)
            )
    raise AssertionError(shape.type_name)


def structures(shape: Shape | None, limits: Limits) -> st.SearchStrategy[dict[str, Any]]:
    """A whole request or reply: other than below it, all may be absent."""
    if shape is None:
        return st.just({})
    members = {name: values(member, limits) for name, member in shape.members.items()}
    required = {name: members[name] for name in shape.required_members}
    optional = {name: strategy for name, strategy in members.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional)


def _strings(shape: Shape) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    shortest = shape.metadata.get("min") or 0
    longest = min(shape.metadata.get("max") or _LONGEST, max(shortest, _LONGEST))
    return _texts(shape.metadata.get("pattern"), shortest, longest)


@cache
def _texts(pattern: str | None, shortest: int, longest: int) -> st.SearchStrategy[str]:
    if pattern is None:
        return st.text(_XML_TEXT, min_size=shortest, max_size=longest)
    if "\\u" in pattern or "\\p" in pattern:
        # from_regex lists the characters of a range one by one, and these ranges are long.
        matching = st.text("aZ09/_.:=+-@", min_size=shortest, max_size=longest).map("/{}/".format)
        return (matching | st.text("é ß/0", min_size=shortest)).filter(
            lambda text: shortest <= len(text) <= longest and bool(compile_pattern(pattern).fullmatch(text))
        )
    matching = st.from_regex(compile_pattern(pattern), fullmatch=True)
    if shortest > _LONGEST:
        matching = matching.map(lambda text: ((text or "A") * shortest)[:longest])
    return matching.filter(lambda text: shortest <= len(text) <= longest and text.isprintable())
