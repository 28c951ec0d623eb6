"""Each package says what it is for: its examples run, and its tables name the modules that there are. So does
the glossary."""

import ast
import doctest
import importlib
import re
from pathlib import Path

import pytest

import hatchway

SOURCE = Path(hatchway.__file__).parent
GLOSSARY = Path(__file__).parent.parent / "docs" / "glossary.md"
PACKAGES = sorted(
    path.parent.relative_to(SOURCE).as_posix()
    for path in SOURCE.rglob("__init__.py")
    if path.parent != SOURCE
)
WITH_EXAMPLES = ["audit", "domain", "iam", "protocol", "sigv4"]


def docstring(package: str) -> str:
    text = ast.get_docstring(ast.parse((SOURCE / package / "__init__.py").read_text())) or ""
    return f"{text}\n"


def listed(package: str) -> set[str]:
    """What the first columns of its tables of modules name."""
    tables = re.findall(
        r"^\| (?:modules?|room|subpackage|part) \|.*\n\|[-|]+\n((?:\|.*\n)+)",
        docstring(package),
        re.MULTILINE,
    )
    rows = [row.split("|")[1] for table in tables for row in table.splitlines()]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def modules(package: str) -> set[str]:
    directory = SOURCE / package
    return {path.stem for path in directory.glob("*.py") if path.stem != "__init__"} | {
        path.parent.name for path in directory.glob("*/__init__.py")
    }


@pytest.mark.parametrize("package", WITH_EXAMPLES)
def test_the_examples_of_a_package_are_right(package: str) -> None:
    ran = doctest.testmod(importlib.import_module(f"hatchway.{package}"))
    assert ran.attempted > 0
    assert ran.failed == 0


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_all_its_modules(package: str) -> None:
    assert modules(package) - listed(package) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_lists_no_module_that_is_gone(package: str) -> None:
    there = modules(package) | {path.name for path in (SOURCE / package).iterdir()}
    assert {name for name in listed(package) if "…" not in name} - there == set()


def test_the_glossary_names_modules_that_there_are() -> None:
    named = re.findall(r"\| `([a-z0-9_.]+)` \|$", GLOSSARY.read_text(), re.MULTILINE)
    assert len(named) > 30
    places = [SOURCE.joinpath(*name.split(".")) for name in named]
    assert [place for place in places if not (place.is_dir() or place.with_suffix(".py").exists())] == []
