"""YAML and JSON as fleet files have them, and what they may not do."""

from pathlib import Path

import pytest
from tests.fleet.cases import Case, check_refused, refused

from hatchway.fleet import BadFleet
from hatchway.fleet import text as text_module
from hatchway.fleet.text import MAX_DEPTH, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("a: yes\nb: on\nc: 2012-10-17\nd: 3.50\ne: 1:30\nf: 0x10\ng: 010",
         {"a": "yes", "b": "on", "c": "2012-10-17", "d": "3.50", "e": "1:30", "f": "0x10", "g": "010"}),
        ("a: true\nb: null\nc: ~\nd:\ne: -7\nf: '7'",
         {"a": True, "b": None, "c": None, "d": None, "e": -7, "f": "7"}),
        ("a: !!str 7", {"a": "7"}),
        ("a: &x 7\nb: *x", {"a": 7, "b": 7}),
        ("a: &x [1, 2]\nb: *x", {"a": [1, 2], "b": [1, 2]}),
        ("{a: [b, {c: d}]}", {"a": ["b", {"c": "d"}]}),
        ('{"a": 2.50, "b": 123456789012345678901234567890}',
         {"a": "2.50", "b": "123456789012345678901234567890"}),
        ("\ufeffa: b", {"a": "b"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ],
)  # fmt: skip
def test_a_text_is_read_as(text: str, value: object) -> None:
    assert read_text(text.encode()) == value


@pytest.mark.parametrize("case", refused("text"))
def test_a_text_that_is_none_of_ours_is_refused_with_its_place(case: Case) -> None:
    check_refused(case)


def test_aliases_cannot_make_much_of_little() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(BadFleet, match=r"line \d+ column \d+: the file has more than 10000000 values"):
        read_text("\n".join(lines).encode())


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", '{"a": ', '["a", '])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200_000])
def test_deep_nesting_is_refused(opening: str, depth: int) -> None:
    closing = {"[": "]", "{": "}", "-": ""}[opening[0]]
    inner = "1" if opening[0] == "{" else ""
    with pytest.raises(BadFleet, match="nested too deeply"):
        read_text((opening * depth + inner + closing * depth).encode())


def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_module, "MAX_BYTES", 1024 * 1024)
    with pytest.raises(BadFleet, match="more than 1 MiB"):
        read_text(b"#" * (1024 * 1024 + 1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": NaN}', "NaN is not JSON"),
        ("a: !!int 7", "line 1 column 4: the tag 'tag:yaml.org,2002:int' has no meaning here"),
        ("a: \x07", "the file is not YAML: "),
        ("é: 1\na:\n\tb: 1\n", "line 3 column 1: a tab is there, where YAML takes only spaces"),
        ("a:\n  b: 1\n  \tc: 2\n", "line 3 column 3: a tab is there, where YAML takes only spaces"),
    ],
)
def test_what_is_neither_json_nor_yaml_of_ours_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadFleet) as refusal:
        read_text(text.encode())
    assert str(refusal.value).startswith(problem)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadFleet, match=r"not UTF-8 text \(byte 3\)"):
        read_text(b"a: \xff")


@pytest.mark.parametrize("text", ["a: [x, x, x]\nb: {c: d}", '{"a": ["x", "x", "x"], "b": {"c": "d"}}'])
def test_a_reader_says_how_many_values_a_file_may_have(text: str) -> None:
    assert read_text(text.encode(), most_values=10)
    with pytest.raises(BadFleet, match="the file has more than 5 values"):
        read_text(text.encode(), most_values=5)
