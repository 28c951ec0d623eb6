"""What CONTRIBUTING.md says of the code is so: its drawings, and the files that it names."""

import re
from pathlib import Path

import pytest
from scripts.map import MARKED, PAGE, drawn_anew, without_implied

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = PAGE.read_text()


def test_the_drawings_are_of_the_imports_as_they_are() -> None:
    assert len(MARKED.findall(TEXT)) >= 3
    assert drawn_anew(TEXT) == TEXT, "make map"


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|json|txt))`", TEXT))
    assert len(named) > 30
    assert [
        name
        for name in sorted(named)
        if not (REPOSITORY / name).exists() and not (REPOSITORY / "src/hatchway" / name).exists()
    ] == []


def test_every_target_of_make_that_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", TEXT))
    assert {"test", "lock", "map"} <= named <= targets


def test_what_it_quotes_from_the_store_is_there() -> None:
    assert "_BUSY_SECONDS = 15.0\n" in (REPOSITORY / "src/hatchway/store/store.py").read_text()
    test = "def test_endpoints_of_an_older_program_tell_their_targets_nothing("
    assert test in (REPOSITORY / "tests/store/test_store.py").read_text()


@pytest.mark.parametrize(
    ("arrows", "drawn"),
    [
        ({"a": "bc", "b": "c", "c": ""}, {"a": "b", "b": "c", "c": ""}),
        ({"a": "bd", "b": "c", "c": "d", "d": ""}, {"a": "b", "b": "c", "c": "d", "d": ""}),
        ({"a": "bc", "b": "", "c": ""}, {"a": "bc", "b": "", "c": ""}),
        # Neither of two that import each other implies the other.
        ({"a": "bc", "b": "c", "c": "b"}, {"a": "bc", "b": "c", "c": "b"}),
    ],
)
def test_an_arrow_that_others_imply_is_not_drawn(arrows: dict[str, str], drawn: dict[str, str]) -> None:
    left = without_implied({start: set(ends) for start, ends in arrows.items()})
    assert left == {start: set(ends) for start, ends in drawn.items()}
