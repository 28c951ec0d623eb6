"""Places of a fleet file, and the lines that they are on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.fleet.lines import line_of, lines_of
from hatchway.fleet.text import MAX_DEPTH

TEXT = b"""\
# a comment
vpcs:
  office:
    cidr:
      - 10.0.0.0/16
      - fd00::/56
    subnets: {web: {cidr: 10.0.1.0/24},
              db: {cidr: 10.0.2.0/24}}
users:
  'two words': &x
    policies: [a,
      b]
  alice: *x
policies:
  p: p.json
"""


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("vpcs", 2),
        ("vpcs.office.cidr", 4),
        ("vpcs.office.cidr[1]", 6),
        ("vpcs.office.subnets.web.cidr", 7),
        ("vpcs.office.subnets.db", 8),
        ("vpcs.office.subnets.db.tags.env", 8),
        ("users.'two words'.policies[1]", 12),
        ("users.alice.policies[1]", 13),
        ("policies.p (p.json)", 15),
        ("policies.p (p.json).Statement[0].Action", 15),
        ("line 7 column 3", 7),
        ("nowhere.at.all", None),
        ("", None),
    ],
)
def test_a_place_is_on_its_line_or_on_that_of_what_it_is_in(place: str, line: int | None) -> None:
    assert line_of(place, lines_of(TEXT)) == line


def test_json_has_lines_too() -> None:
    assert line_of("users.a.groups[1]", lines_of(b'{"users": {\n"a": {"groups": ["x",\n"y"]}}}')) == 3


@pytest.mark.parametrize(
    "text",
    [
        '{"users": {"a": {"tags": {"k": "\\ud83d\\ude00"}},\n"b": {}}}',  # YAML writes this \U0001f600
        '{"users": {"a": {"tags": {"k": "\\ud800"}},\n"b": {}}}',
        '{"users": {"a": {"tags": {"k": "\x7f\\"\\/"}},\n"b": {}}}',
        f'{{"users": {{"{"a" * 2000}": [1, true, {{}}, []],\n"b": {{}}}}}}',
    ],
)
def test_json_that_is_no_yaml_has_lines(text: str) -> None:
    assert line_of("users.b.groups", lines_of(text.encode())) == 2


def test_an_alias_may_stand_for_a_key() -> None:
    text = b'account: &a "123456789012"\nusers:\n  *a : {}\n  b: {}\nvpcs: 7\n'
    lines = lines_of(text)
    assert [line_of(place, lines) for place in ("users.123456789012", "users.b", "vpcs")] == [3, 4, 5]


@pytest.mark.parametrize("text", ["[" * 100_000, "users: " + "[" * 100_000, '{"users":\n' * 20_000])
def test_what_is_nested_too_deeply_has_lines_as_far_as_it_is_read(text: str) -> None:
    assert len(lines_of(text.encode())) <= MAX_DEPTH


def test_places_have_lines_until_they_are_too_long_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.fleet.lines._MOST_CHARACTERS", len("users" + "users.a"))
    assert lines_of(b"users:\n  a: {}\n  b: {}") == {"users": 1, "users.a": 2}


@pytest.mark.parametrize(
    "text",
    [
        b"users: {a: {}}\nvpcs: [",
        b"users:\n  a: {}\nx: \t@",
        b"users: 1\n? [a]\n: b\n",
        b"users: 1\n*x : b\n",
    ],
)
def test_a_text_that_cannot_be_read_has_the_lines_up_to_there(text: bytes) -> None:
    assert line_of("users.b", lines_of(text)) == 1


def test_what_is_no_text_has_no_lines() -> None:
    assert lines_of(b"\xff") == {}


@given(st.text("{}[]:,&*!|>-'\"#%@? \n\tab1", max_size=60).map(str.encode))
def test_no_text_is_too_strange(content: bytes) -> None:
    assert all(1 <= line <= content.count(b"\n") + 1 for line in lines_of(content).values())
