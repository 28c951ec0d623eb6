"""Readers of values, and tables of keys: what the file may say, declared once, for reading it and for its
JSON Schema.

A `Reader` takes a value, its place and the reading so far. It gives what the value means, or adds a problem
and gives None. A `Table` has the keys of one kind of mapping, each with its reader; `Table.read` takes them
all and finds every problem. Both carry their JSON Schema, so that an editor knows what the reader takes.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from hatchway.fleet.policy_documents import Reading
from hatchway.fleet.problems import Problems, quoted, suggestion

T = TypeVar("T")
D = TypeVar("D")
Schema = Mapping[str, Any]
"""What JSON Schema (draft 7) says of a value. Not all that the reader asks: what an editor can know."""

_PLAIN_KEY: Final = re.compile(r"[^\s.'\"]+")


def at(place: str, key: str) -> str:
    """The place of a key within a mapping; a key that could confuse is quoted."""
    plain = len(key) <= 80 and key.isprintable() and _PLAIN_KEY.fullmatch(key)
    shown = key if plain else quoted(key)
    return f"{place}.{shown}" if place else shown


# --- readers ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How a value is read, and its schema."""

    read: Callable[[Any, str, Reading], T | None]
    schema: Schema

    def __call__(self, value: Any, place: str, reading: Reading) -> T | None:
        return self.read(value, place, reading)


def reader(schema: Schema) -> Callable[[Callable[[Any, str, Reading], T | None]], Reader[T]]:
    """Makes a reader of a function."""
    return lambda read: Reader(read, schema)


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


def each(one: Reader[T]) -> Reader[tuple[T, ...]]:
    """A reader of lists. What is wrong in one is left out of what it gives."""

    @reader({"type": "array", "items": one.schema})
    def read(value: Any, place: str, reading: Reading) -> tuple[T, ...] | None:
        if not isinstance(value, list):
            reading.add(place, f"{quoted(value)} is not a list")
            return None
        found = [one(item, f"{place}[{index}]", reading) for index, item in enumerate(value)]
        return tuple(item for item in found if item is not None)

    return read


def unique(one: Reader[T]) -> Reader[tuple[T, ...]]:
    """A reader of lists in which nothing is there twice."""
    read_each = each(one)

    @reader({**read_each.schema, "uniqueItems": True})
    def read(value: Any, place: str, reading: Reading) -> tuple[T, ...] | None:
        before = len(reading)
        items = read_each(value, place, reading)
        if items is None or len(reading) > before:
            return items
        seen: set[T] = set()
        for index, item in enumerate(items):
            if item in seen:
                reading.add(f"{place}[{index}]", f"{quoted(value[index])} is there twice")
            seen.add(item)
        return items

    return read


# --- tables of keys ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of a mapping, and what its value means.

    `about` is for whoever edits a file. `to` is the declaration's field, where it is not called like the key;
    `default` is what the field has without the key. `hint` completes "has no …" of a key that is required.
    `nullable` leaves it to the reader what null means; any other null is refused as having no value.
    """

    read: Reader[Any]
    about: str
    to: str | None = None
    required: bool = False
    hint: str = ""
    default: Any = None
    nullable: bool = False

    @property
    def schema(self) -> Schema:
        shown = isinstance(self.default, bool | int) or (isinstance(self.default, str) and self.default)
        schema = dict(self.read.schema)
        if schema.get("type") == ["object", "null"] and not self.nullable:
            schema["type"] = "object"
        return {
            **schema,
            "description": self.about,
            **({"default": self.default} if shown else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What was read of one mapping.

    `content` is the mapping as the file has it, `values` what it means, by the declaration's fields.
    `unsound` are the keys with which something is wrong.
    """

    place: str
    content: Mapping[str, Any]
    values: dict[str, Any]
    unsound: frozenset[str]


def _nothing_more(entry: Entry, reading: Reading) -> None:
    """For a table whose keys say all by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[D]):
    """All keys of one kind of mapping, and the declaration that they make.

    A declaration is made when nothing is wrong with the keys in `needs` (None: with anything): what else it
    says can then be looked at further although there are problems. Of the keys in `one_of` there must be one.
    `bare` is a key, and which values stand for a mapping with that key alone: told by a function, and by the
    schema of such values. `check` finds what is wrong between keys.
    """

    declares: Callable[..., D]
    keys: Mapping[str, Key]
    needs: Collection[str] | None = None
    one_of: tuple[str, ...] = ()
    bare: tuple[str, Callable[[Any], bool], Schema] | None = None
    check: Callable[[Entry, Reading], None] = _nothing_more

    def read(self, value: Any, place: str, reading: Reading, /, **given: Any) -> D | None:
        """The declaration, with the fields that are `given` besides; None when that is not worth having."""
        before = len(reading)
        entry = self.entry(value, place, reading)
        if len(reading) > before and (self.needs is None or not entry.unsound.isdisjoint(self.needs)):
            return None
        return self.declares(**given, **entry.values)

    def entry(self, value: Any, place: str, reading: Reading) -> Entry:
        """Every key, each with its problems; a key that is not in the table is one."""
        if self.bare is not None and self.bare[1](value):
            content: Mapping[str, Any] = {self.bare[0]: value}
            place_of = dict.fromkeys(content, place)
        else:
            content = mapping(value, place, reading) or {}
            place_of = {key: at(place, key) for key in content}
        if not content.keys() <= self.keys.keys():
            for key in content:
                if key not in self.keys:
                    reading.add(place_of[key], f"is not known here{suggestion(key, self.keys)}")
        values, unsound = {}, set()
        for name, known in self.keys.items():
            before = len(reading)
            found = None
            if name not in content:
                if known.required:
                    reading.add(place, f"has no {name!r}{known.hint}")
            elif content[name] is None and not known.nullable:
                reading.add(place_of[name], "has no value")
            else:
                found = known.read(content[name], place_of[name], reading)
            values[known.to or name] = known.default if found is None else found
            if len(reading) > before:
                unsound.add(name)
        if self.one_of and content.keys().isdisjoint(self.one_of):
            reading.add(place, f"has neither {' nor '.join(map(repr, self.one_of))}")
        entry = Entry(place=place, content=content, values=values, unsound=frozenset(unsound))
        self.check(entry, reading)
        return entry

    @property
    def schema(self) -> Schema:
        required = [name for name, key in self.keys.items() if key.required]
        whole = {
            "type": "object" if required or self.one_of else ["object", "null"],
            "properties": {name: key.schema for name, key in self.keys.items()},
            "additionalProperties": False,
            **({"required": required} if required else {}),
            **({"anyOf": [{"required": [name]} for name in self.one_of]} if self.one_of else {}),
        }
        if self.bare is None:
            return whole
        _, _, bare = self.bare
        return {"if": bare, "then": self.keys[self.bare[0]].read.schema, "else": whole}


def named(table: Table[D], name: Reader[str]) -> Reader[tuple[D, ...]]:
    """A reader of mappings of names to what a table describes: declarations with a `place` and a `name`."""

    @reader(
        {
            "type": ["object", "null"],
            "propertyNames": name.schema,
            "additionalProperties": table.schema,
        }
    )
    def read(value: Any, place: str, reading: Reading) -> tuple[D, ...]:
        found = []
        for key, item, inside in items_of(value, place, reading):
            good = name(key, inside, reading) is not None
            declared = table.read(item, inside, reading, place=inside, name=key)
            if good and declared is not None:
                found.append(declared)
        return tuple(found)

    return read
