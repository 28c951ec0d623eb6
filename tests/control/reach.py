"""The texts that a function can come upon: its own constants, and those of all that it refers to, in turn."""

import enum
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

OURS = "hatchway"


def texts_reached(start: object) -> frozenset[str]:
    """All texts that may be used by `start`, a function, or whatever refers to some."""
    found: set[str] = set()
    seen: dict[int, object] = {}
    waiting: list[object] = [start]
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, str):
            found.add(thing)
        elif id(thing) not in seen:
            seen[id(thing)] = thing  # Kept, so that no other thing gets its id.
            waiting.extend(_referred(thing))
    return frozenset(found)


def _referred(thing: object) -> Iterable[object]:
    match thing:
        case FunctionType():
            if not thing.__module__.startswith(OURS):
                return ()
            cells = [cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell)]
            wrapped = getattr(thing, "__wrapped__", None)
            return [
                *_of_code(thing.__code__, thing.__globals__),
                *cells,
                *(thing.__defaults__ or ()),
                wrapped,
            ]
        case MethodType():
            return (thing.__func__, thing.__self__)
        case property():
            return (thing.fget,)
        case functools.cached_property() | functools.partial():
            return (thing.func,)
        case staticmethod() | classmethod():
            return (thing.__func__,)
        case enum.Enum():
            return (thing.value,)
        case type():
            return vars(thing).values() if thing.__module__.startswith(OURS) else ()
        case Mapping():
            return [*thing.keys(), *thing.values()]
        case list() | tuple() | set() | frozenset():
            return thing
        case _ if is_dataclass(thing) and type(thing).__module__.startswith(OURS):
            return [type(thing), *(getattr(thing, field.name, None) for field in fields(thing))]
        case _ if hasattr(thing, "__wrapped__"):
            return (thing.__wrapped__,)
    return ()


def _of_code(code: CodeType, names: Mapping[str, Any]) -> Iterator[object]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _of_code(constant, names)
        else:
            yield constant
    for name in code.co_names:
        value = names.get(name)
        if not isinstance(value, ModuleType):
            yield value
        elif value.__name__.startswith(OURS):
            # `module.function(…)`: which of the module's things is meant, the other names tell.
            yield from (getattr(value, other, None) for other in code.co_names)


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018 - raises when there is nothing
    except ValueError:
        return False
    return True
