"""What CONTRIBUTING.md says of the code is so: its drawings, its packages, the files that it names."""

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import grimp
import pytest
from scripts.map import MARKED, PAGE, drawn_anew, without_implied

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = PAGE.read_text()


def test_the_drawings_are_of_the_imports_as_they_are() -> None:
    assert len(MARKED.findall(TEXT)) >= 3
    assert drawn_anew(TEXT) == TEXT, "make map"


def allowed() -> dict[str, set[str]]:
    """Package to what it may import, by the table."""
    table = re.findall(r"^\| `(\w+)` \| .* \| ([^|]+) \|$", TEXT, re.MULTILINE)
    packages = {package for package, _ in table}
    everything = {"all": packages, "all but `cli`": packages - {"cli"}}
    # A dash is none.
    return {
        package: everything.get(row, packages & set(row.split(", "))) - {package} for package, row in table
    }


def refused() -> dict[str, set[str]]:
    """Package to what import-linter keeps it from importing as a whole."""
    configuration = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = defaultdict[str, set[str]](set)
    for contract in configuration["contracts"]:
        modules = contract.get("modules", [])
        for source in contract.get("source_modules", modules):
            others = contract.get("forbidden_modules", modules)
            found[source.removeprefix("hatchway.")] |= {
                name.removeprefix("hatchway.") for name in others if name != source
            }
    return found


def test_import_linter_refuses_whatever_the_table_of_packages_does_not_allow() -> None:
    packages = {path.parent.name for path in (REPOSITORY / "src/hatchway").glob("*/__init__.py")}
    assert allowed().keys() == packages
    held = refused()
    assert {package: packages & held[package] for package in packages} == {
        package: packages - {package} - may for package, may in allowed().items()
    }


def test_import_linter_refuses_to_iam_whatever_hatchway_imports_from_elsewhere() -> None:
    graph = grimp.build_graph("hatchway", include_external_packages=True, cache_dir=None)
    elsewhere = {name for name in graph.modules if "." not in name}
    elsewhere -= {"hatchway", "_typeshed", *sys.stdlib_module_names}
    assert "sqlalchemy" in elsewhere
    assert elsewhere - refused()["iam"] == set()


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|c|md|json|sh|toml|txt))`", TEXT))
    assert len(named) > 30
    assert [
        name
        for name in sorted(named)
        if not (REPOSITORY / name).exists() and not (REPOSITORY / "src/hatchway" / name).exists()
    ] == []


def test_what_it_says_to_look_for_is_in_the_file() -> None:
    named = re.findall(r"`([\w./-]+\.\w+)`: (`\w+`(?:, `\w+`)*)", TEXT)
    assert len(named) > 15
    places = {place: (REPOSITORY / place, REPOSITORY / "src/hatchway" / place) for place, _ in named}
    texts = {
        place: "".join(path.read_text() for path in paths if path.exists()) for place, paths in places.items()
    }
    assert [
        (place, name)
        for place, names in named
        for name in re.findall(r"\w+", names)
        if not re.search(rf"\b{name}\b", texts[place])
    ] == []


def test_every_target_of_make_that_it_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", TEXT))
    assert {"test", "lock", "map"} <= named <= targets


def test_what_it_quotes_from_a_file_is_there() -> None:
    assert "_BUSY_SECONDS = 15.0\n" in (REPOSITORY / "src/hatchway/store/engines.py").read_text()
    quoted = re.findall(r"`(\w+)` in `([\w./-]+\.py)`", TEXT)
    assert len(quoted) >= 3
    assert [
        (name, place)
        for name, place in quoted
        if not any(
            re.search(rf"\b{name}\b", path.read_text())
            for path in (REPOSITORY / place, REPOSITORY / "src/hatchway" / place)
            if path.exists()
        )
    ] == []


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
