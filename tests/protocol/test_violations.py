"""Parameters held against a model's constraints, whose patterns are in another dialect than Python's."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from tests.protocol.sample import shape

from hatchway.protocol import load_service
from hatchway.protocol.violations import Kind, Naming, Violation, compile_pattern, find_violations, shown

NAMING = Naming(member=lambda _, name: name.lower(), item=lambda index: f"{index}.member")


SAMPLES: list[tuple[str, Any, list[tuple[Kind, tuple[str, ...], str, str | None]]]] = [
    ("Text", "", []),
    ("Flag", False, []),
    ("When", None, []),
    ("Colour", "red", []),
    ("Colour", "blue", [(Kind.INVALID, (), "satisfy enum value set: [red, green]", "blue")]),
    ("Code", "abc", []),
    ("Code", "a", [(Kind.INVALID, (), "have length greater than or equal to 2", "a")]),
    ("Code", "abcde", [(Kind.INVALID, (), "have length less than or equal to 4", "abcde")]),
    ("Code", "AB", [(Kind.INVALID, (), "satisfy regular expression pattern: [a-z]+", "AB")]),
    ("Count", 9, []),
    ("Count", 0, [(Kind.INVALID, (), "have value greater than or equal to 1", "0")]),
    ("Count", 10, [(Kind.INVALID, (), "have value less than or equal to 9", "10")]),
    ("Data", b"abc", []),
    ("Data", b"abcd", [(Kind.INVALID, (), "have length less than or equal to 3", "(4 bytes)")]),
    ("Names", ["a", "b"], []),
    ("Names", ["a", "b", "c"], [(Kind.INVALID, (), "have length less than or equal to 2", "[a, b, c]")]),
    ("Labels", {"ab": "x"}, []),
    ("Labels", {"AB": "x"}, [(Kind.INVALID, (), "satisfy regular expression pattern: [a-z]+", "AB")]),
    (
        "Labels",
        {"ab": "x", "cd": "y", "ef": "z"},
        [(Kind.INVALID, (), "have length less than or equal to 2", "{ab, cd, ef}")],
    ),
    ("Item", {}, [(Kind.MISSING, ("name",), "not be null", None)]),
    ("Items", [{"Name": "a"}, {}], [(Kind.MISSING, ("2.member", "name"), "not be null", None)]),
    ("Secret", "hunter2", [(Kind.INVALID, (), "have length less than or equal to 4", None)]),
    ("Secrets", ["a", "b"], [(Kind.INVALID, (), "have length less than or equal to 1", None)]),
    (
        "Everything",
        {"Item": {}, "Count": 0},
        [
            (Kind.MISSING, ("item", "name"), "not be null", None),
            (Kind.INVALID, ("count",), "have value greater than or equal to 1", "0"),
        ],
    ),
]


@pytest.mark.parametrize(("name", "value", "expected"), SAMPLES)
def test_each_constraint_of_the_model_is_held_against_the_value_where_it_stands(
    name: str, value: Any, expected: list[tuple[Kind, tuple[str, ...], str, str | None]]
) -> None:
    assert list(find_violations(shape(name), value, NAMING)) == [Violation(*each) for each in expected]


def test_a_value_is_shown_in_part_and_without_what_no_message_can_carry() -> None:
    assert shown("a\0b") == "ab"
    assert shown("a" * 300) == "a" * 256 + "..."
    assert shown(7) == "7"
    assert shown(list("abcdefghijklmnopqrstuvwxyz")) == "[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]"
    assert shown({"a": 1, "b": 2}) == "{a, b}"
    assert shown(b"secret") == "(6 bytes)"


@pytest.mark.parametrize("name", ["ec2", "iam", "sts", "ec2-instance-connect", "cloudtrail", "hatchway"])
def test_every_pattern_of_a_model_is_understood(name: str) -> None:
    model = load_service(name).model
    patterns = {model.shape_for(shape).metadata.get("pattern") for shape in model.shape_names} - {None}

    assert patterns
    for pattern in patterns:
        compiled = compile_pattern(pattern).pattern
        assert not re.search(r"\\p\{|\\u[dD][89abAB]", compiled), pattern


def test_letters_numbers_and_separators_are_those_of_unicode() -> None:
    pattern = compile_pattern(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]")
    marks = set("_.:/=+-@")

    wrong = [
        character
        for character in map(chr, range(0x11_0000))
        if bool(pattern.fullmatch(character))
        != (unicodedata.category(character)[0] in "LZN" or character in marks)
    ]

    assert wrong == []


def test_the_other_classes_are_ascii() -> None:
    assert compile_pattern(r"[\w+=,.@-]+").fullmatch("a_1")
    assert not compile_pattern(r"[\w+=,.@-]+").fullmatch("é")
    assert not compile_pattern(r"\d{12}").fullmatch("\u0661" * 12)


def test_a_pattern_matches_the_whole_text() -> None:
    assert not compile_pattern("^[a-z]+$").fullmatch("abc\n")
