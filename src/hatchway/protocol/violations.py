"""Checking parameters against the constraints of a service model.

A violation is a fact; what it is called, and in which words it is told, is the refusing service's
(`refusals`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING, Any

from hatchway.protocol.text import without_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.model import Shape

Path = tuple[str, ...]
"""Where a parameter stands, outermost name first, in the spelling of the service's messages."""


class Kind(Enum):
    """What is wrong with a parameter."""

    UNKNOWN = auto()
    """The model has none of that name."""
    MISSING = auto()
    """The model requires it."""
    UNREADABLE = auto()
    """It is not of the model's type."""
    INVALID = auto()
    """Its type is right, its value breaks a constraint."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One parameter that the model does not allow.

    `demand` completes the sentence "It must …"; empty for unknown parameters. `value` is what was given, None
    when nothing was or when it must not be repeated.
    """

    kind: Kind
    path: Path
    demand: str = ""
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Naming:
    """How a service's messages spell the place of a parameter."""

    member: Callable[[Shape, str], str]
    item: Callable[[int], str]


def find_violations(shape: Shape, value: Any, naming: Naming, path: Path = ()) -> Iterator[Violation]:
    """All constraints of `shape` that `value`, whose types are right, does not meet."""
    match shape.type_name:
        case "structure":
            for name in shape.required_members:
                if name not in value:
                    where = (*path, naming.member(shape.members[name], name))
                    yield Violation(Kind.MISSING, where, "not be null")
            for name, member in value.items():
                member_shape = shape.members[name]
                where = (*path, naming.member(member_shape, name))
                yield from find_violations(member_shape, member, naming, where)
        case "list":
            yield from _size(shape, len(value), "length", value, path)
            for index, item in enumerate(value, 1):
                yield from find_violations(shape.member, item, naming, (*path, naming.item(index)))
        case "map":
            yield from _size(shape, len(value), "length", value, path)
            for key, item in value.items():
                yield from find_violations(shape.key, key, naming, path)
                yield from find_violations(shape.value, item, naming, (*path, key))
        case "string":
            yield from _size(shape, len(value), "length", value, path)
            yield from _text(shape, value, path)
        case "blob":
            yield from _size(shape, len(value), "length", value, path)
        case "integer" | "long" | "float" | "double":
            yield from _size(shape, value, "value", value, path)


def _size(shape: Shape, size: float, noun: str, value: Any, path: Path) -> Iterator[Violation]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _invalid(shape, path, f"have {noun} greater than or equal to {least}", value)
    if most is not None and size > most:
        yield _invalid(shape, path, f"have {noun} less than or equal to {most}", value)


def _text(shape: Shape, value: str, path: Path) -> Iterator[Violation]:
    if shape.enum and value not in shape.enum:
        yield _invalid(shape, path, f"satisfy enum value set: [{', '.join(shape.enum)}]", value)
    pattern = shape.metadata.get("pattern")
    most = shape.metadata.get("max")
    # What is too long has been said to be; matching it too would only cost time.
    if (
        pattern
        and not (most is not None and len(value) > most)
        and not compile_pattern(pattern).fullmatch(value)
    ):
        yield _invalid(shape, path, f"satisfy regular expression pattern: {pattern}", value)


def _invalid(shape: Shape, path: Path, demand: str, value: Any) -> Violation:
    return Violation(Kind.INVALID, path, demand, None if _is_sensitive(shape) else shown(value))


def _is_sensitive(shape: Shape) -> bool:
    return bool(shape.metadata.get("sensitive")) or (
        shape.type_name == "list" and _is_sensitive(shape.member)
    )


def shown(value: Any, longest: int = 256) -> str:
    """A value as AWS's messages repeat it, cut to `longest` characters, less what no message can carry."""
    if isinstance(value, list):
        text = f"[{', '.join(shown(item, longest) for item in value[:16])}]"
    elif isinstance(value, dict):
        text = f"{{{', '.join(list(value)[:16])}}}"
    elif isinstance(value, bytes):
        text = f"({len(value)} bytes)"
    else:
        text = without_unprintable(str(value))
    return text if len(text) <= longest else text[:longest] + "..."


_UNICODE_CLASS = r"\p{L}\p{Z}\p{N}_"
_PYTHON_UNICODE_CLASS = r"\w\u0020\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
"""Letters, numbers and the underscore, and the separators of \\p{Z}."""
_SURROGATE_RANGE = r"\uD800\uDC00-\uDBFF\uDFFF"
_PYTHON_SURROGATE_RANGE = r"\U00010000-\U0010FFFF"


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A model's pattern, which is in Java's dialect, in Python's.

    Java's `\\w`, `\\d` and `\\s` are ASCII; it spells what lies beyond the first plane in halves.
    """
    flags = re.UNICODE if _UNICODE_CLASS in pattern else re.ASCII
    pattern = pattern.replace(_UNICODE_CLASS, _PYTHON_UNICODE_CLASS)
    return re.compile(pattern.replace(_SURROGATE_RANGE, _PYTHON_SURROGATE_RANGE), flags)
