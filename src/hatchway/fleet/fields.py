"""Reading a mapping of the file key by key, gathering every problem.

A reader is a function of a value, its place and the problems found so far. It gives what the value means, or
adds a problem and gives None. Whoever reads several keys looks at the number of problems to know whether all
went well.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from hatchway.fleet.problems import Problems, quoted, suggestion

T = TypeVar("T")
Reader = Callable[[Any, str, Problems], T | None]

_PLAIN_KEY: Final = re.compile(r"[^\s.'\"]+")


def at(place: str, key: str) -> str:
    """The place of a key within a mapping; a key that could confuse is quoted."""
    plain = len(key) <= 80 and key.isprintable() and _PLAIN_KEY.fullmatch(key)
    shown = key if plain else quoted(key)
    return f"{place}.{shown}" if place else shown


def mapping(value: Any, place: str, problems: Problems) -> Mapping[str, Any] | None:
    """A mapping; nothing after a key (`users:`) is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(place, f"{quoted(value)} is not a mapping")
        return None
    return value


def items_of(value: Any, place: str, problems: Problems) -> Iterator[tuple[str, Any, str]]:
    """The key, value and place of each pair of a mapping."""
    for key, inner in (mapping(value, place, problems) or {}).items():
        yield key, inner, at(place, key)


def each(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """A reader of lists."""

    def read(value: Any, place: str, problems: Problems) -> tuple[T, ...] | None:
        if not isinstance(value, list):
            problems.add(place, f"{quoted(value)} is not a list")
            return None
        found = [reader(item, f"{place}[{index}]", problems) for index, item in enumerate(value)]
        return tuple(item for item in found if item is not None)

    return read


def unique(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """A reader of lists in which nothing is there twice."""
    read_each = each(reader)

    def read(value: Any, place: str, problems: Problems) -> tuple[T, ...] | None:
        before = len(problems)
        items = read_each(value, place, problems)
        if items is None or len(problems) > before:
            return items
        seen: set[T] = set()
        for index, item in enumerate(items):
            if item in seen:
                problems.add(f"{place}[{index}]", f"{quoted(value[index])} is there twice")
            seen.add(item)
        return items

    return read


class Fields:
    """The keys of one mapping, each to be taken once; keys that are not known are problems."""

    __slots__ = ("_before", "_content", "_problems", "place")

    def __init__(self, value: Any, place: str, known: Mapping[str, None], problems: Problems) -> None:
        self._before = len(problems)
        self._problems = problems
        self._content = mapping(value, place, problems) or {}
        self.place = place
        if not self._content.keys() <= known.keys():
            for key in self._content:
                if key not in known:
                    problems.add(at(place, key), f"is not known here{suggestion(key, known)}")

    @property
    def valid(self) -> bool:
        """Whether no problem was found in the mapping so far."""
        return len(self._problems) == self._before

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def take(self, key: str, reader: Reader[T]) -> T | None:
        """What the key's value means; None when it is absent or a problem."""
        value = self._content.get(key)
        if value is None:
            if key in self._content:
                self.problem(key, "has no value")
            return None
        return reader(value, at(self.place, key), self._problems)

    def demand(self, key: str, reader: Reader[T]) -> T | None:
        """Like `take`, and its absence is a problem."""
        if key not in self._content:
            self._problems.add(self.place, f"has no {key!r}")
            return None
        return self.take(key, reader)

    def raw(self, key: str) -> Any:
        return self._content.get(key)

    def problem(self, key: str | None, message: str) -> None:
        self._problems.add(at(self.place, key) if key else self.place, message)


def known(*keys: str) -> Mapping[str, None]:
    """The keys that a mapping may have, in the order in which messages and exports name them."""
    return dict.fromkeys(keys)
