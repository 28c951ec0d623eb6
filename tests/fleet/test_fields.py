"""Readers and tables of keys: what a mapping of the file means, and everything that is wrong with it."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet.fields import Entry, Key, Reader, Table, at, each, items_of, named, unique
from hatchway.fleet.policy_documents import Reading

WORD = re.compile("[a-z]+")


def _word(value: Any, place: str, reading: Reading) -> str | None:
    if isinstance(value, str) and WORD.fullmatch(value):
        return value
    reading.add(place, "is no word")
    return None


word: Reader[str] = Reader(_word, {"type": "string", "pattern": "^[a-z]+$"})
nothing: Reader[str] = Reader(
    lambda value, place, reading: "nothing" if value is None else value, {"type": ["object", "null"]}
)


@dataclass(frozen=True, kw_only=True)
class Thing:
    place: str = ""
    name: str = ""
    first: str | None
    second: str | None = None
    third: str | None = None


def _different(entry: Entry, reading: Reading) -> None:
    if entry.values["first"] == entry.values["second"]:
        reading.add(entry.place, "says the same twice")


THING = Table(
    declares=Thing,
    keys={
        "one": Key(read=word, about="One.", to="first", required=True, hint=", which it needs"),
        "second": Key(read=word, about="Two.", default="two"),
        "third": Key(read=nothing, about="Three.", nullable=True),
    },
    needs=("one",),
    check=_different,
)


def read(reader: Reader[Any], value: Any) -> tuple[Any, list[str]]:
    """What a reader makes of a value, and the problems that it finds."""
    reading = Reading()
    found = reader(value, "p", reading)
    return found, [str(problem) for problem in reading.found]


things = named(THING, word)


@pytest.mark.parametrize("case", refused("fields"))
def test_a_mapping_with_keys_that_are_not_known_is_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize(
    ("place", "key", "path"),
    [
        ("", "vpcs", "vpcs"),
        ("vpcs", "a/b", "vpcs.a/b"),
        ("vpcs", "a b", "vpcs.'a b'"),
        ("vpcs", "a.b", "vpcs.'a.b'"),
        ("vpcs", "", "vpcs.''"),
        ("vpcs", "x" * 81, f"vpcs.'{'x' * 79}…"),
    ],
)
def test_a_place_is_a_path_in_which_a_key_that_could_confuse_is_quoted(
    place: str, key: str, path: str
) -> None:
    assert at(place, key) == path


def test_a_list_gives_what_is_well_in_it_and_every_problem() -> None:
    assert read(each(word), ["a", 7, "b", ""]) == (("a", "b"), ["p[1]: is no word", "p[3]: is no word"])
    assert read(each(word), "a") == (None, ["p: 'a' is not a list"])
    assert each(word).schema == {"type": "array", "items": word.schema}


def test_what_is_in_a_list_twice_is_a_problem_once_all_else_is_well() -> None:
    assert read(unique(word), ["a", "b"]) == (("a", "b"), [])
    assert read(unique(word), ["a", "b", "a"]) == (("a", "b", "a"), ["p[2]: 'a' is there twice"])
    assert read(unique(word), ["a", "a", 7]) == (("a", "a"), ["p[2]: is no word"])
    assert read(unique(word), 7) == (None, ["p: 7 is not a list"])
    assert unique(word).schema["uniqueItems"] is True


def test_nothing_is_an_empty_mapping_and_what_is_none_has_no_items() -> None:
    reading = Reading()
    assert list(items_of(None, "p", reading)) == []
    assert list(items_of({"a": 1}, "p", reading)) == [("a", 1, "p.a")]
    assert len(reading) == 0
    assert list(items_of([], "p", reading)) == []
    assert [str(problem) for problem in reading.found] == ["p: [] is not a mapping"]


def test_a_table_declares_what_its_keys_say_with_defaults_for_those_left_out() -> None:
    assert read(things, {"a": {"one": "x"}}) == (
        (Thing(place="p.a", name="a", first="x", second="two"),),
        [],
    )


def test_null_is_no_value_unless_the_reader_knows_what_it_means() -> None:
    (thing,), problems = read(things, {"a": {"one": "x", "second": None, "third": None}})
    assert (thing.second, thing.third) == ("two", "nothing")
    assert problems == ["p.a.second: has no value"]


def test_a_declaration_is_made_although_something_is_wrong_with_a_key_that_it_does_not_need() -> None:
    (thing,), problems = read(things, {"a": {"one": "x", "second": 7, "fourth": 1}})
    assert (thing.first, thing.second) == ("x", "two")
    assert problems == ["p.a.fourth: is not known here", "p.a.second: is no word"]


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ({}, ["p.a: has no 'one', which it needs"]),
        (None, ["p.a: has no 'one', which it needs"]),
        ({"one": 7}, ["p.a.one: is no word"]),
        (7, ["p.a: 7 is not a mapping", "p.a: has no 'one', which it needs"]),
    ],
)
def test_no_declaration_is_made_without_a_key_that_it_needs(content: Any, problems: list[str]) -> None:
    assert read(things, {"a": content}) == ((), problems)


def test_a_name_that_is_none_declares_nothing_and_what_is_in_it_is_read_all_the_same() -> None:
    assert read(things, {"A": {"one": 7}}) == ((), ["p.A: is no word", "p.A.one: is no word"])
    assert read(things, {"A": {"one": "x"}}) == ((), ["p.A: is no word"])


def test_what_is_wrong_between_keys_is_found() -> None:
    found, problems = read(things, {"a": {"one": "x", "second": "x"}})
    assert problems == ["p.a: says the same twice"]
    assert len(found) == 1


def test_a_table_that_needs_everything_declares_nothing_when_anything_is_wrong() -> None:
    strict = Table(declares=Thing, keys={"first": Key(read=word, about="One.")})
    assert read(named(strict, word), {"a": {"x": 1}}) == ((), ["p.a.x: is not known here"])


def test_one_of_several_keys_may_be_required() -> None:
    keys = {"first": Key(read=word, about="One."), "second": Key(read=word, about="Two.")}
    table = Table(declares=Thing, keys=keys, one_of=("first", "second"))
    assert read(named(table, word), {"a": {}, "b": {"second": "x"}})[1] == [
        "p.a: has neither 'first' nor 'second'"
    ]
    assert table.schema["anyOf"] == [{"required": ["first"]}, {"required": ["second"]}]
    assert table.schema["type"] == "object"


def test_a_bare_value_stands_for_a_mapping_with_its_key() -> None:
    schema = {"type": "string"}
    table = Table(
        declares=Thing,
        keys={"first": Key(read=word, about="One.")},
        bare=("first", lambda value: isinstance(value, str), schema),
    )
    found, problems = read(named(table, word), {"a": "x", "b": {"first": "y"}, "c": "Z"})
    assert [thing.first for thing in found] == ["x", "y"]
    assert problems == ["p.c: is no word"]
    assert (table.schema["if"], table.schema["then"]) == (schema, word.schema)


def test_the_schema_of_a_table_has_its_keys_with_what_they_are_for() -> None:
    assert THING.schema == {
        "type": "object",
        "properties": {
            "one": {**word.schema, "description": "One."},
            "second": {**word.schema, "description": "Two.", "default": "two"},
            "third": {"type": ["object", "null"], "description": "Three."},
        },
        "additionalProperties": False,
        "required": ["one"],
    }
    assert things.schema["propertyNames"] == word.schema
    assert things.schema["additionalProperties"] == THING.schema


def test_the_schema_of_a_key_takes_null_only_where_the_reader_is_asked() -> None:
    assert Key(read=nothing, about="Nothing.").schema["type"] == "object"
    assert Table(declares=Thing, keys={}).schema["type"] == ["object", "null"]
    assert Key(read=word, about="A word.", default=False).schema["default"] is False
