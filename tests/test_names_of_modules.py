"""What names a module or a file by a string finds it: where one moved, the Makefile, configurations, pages
and the benchmarks, which no type checker reads, say its new name."""

import ast
import importlib
import json
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src/hatchway"
PACKAGES = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
MAKEFILE = (ROOT / "Makefile").read_text()
CONFIGURATION: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOOLS: dict[str, Any] = CONFIGURATION["tool"]
FOLDERS = ("bench", "deploy", "docs", "examples", "fuzz", "mutation", "scripts", "sdks", "src")
OTHERS = {
    "docs/commands.md",  # Made by scripts/site.py.
    "access/transam/varsup.c",  # PostgreSQL's.
    "awscrt/websocket.py",  # The AWS CLI's.
    "awscli/customizations/ec2instanceconnect/websocket.py",
}
"""Files that are not of this repository."""


def texts() -> Iterator[tuple[Path, str]]:
    """What tells of the code: all but the tests, which invent names, and what was so at a release."""
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != "CHANGELOG.md"]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in files:
        if path.suffix in {".py", ".c", ".sh", ".md", ".toml", ".yaml", ".yml", ""} and "/." not in str(
            path.relative_to(ROOT)
        ):
            yield path, path.read_text(errors="replace")


def test_every_file_that_a_page_a_comment_or_a_configuration_names_is_there() -> None:
    file = re.compile(r"(?<![\w./{}$…~*-])(?:[\w-]+/)+[\w.-]+\.(?:py|c|sh|toml|md)\b")
    named, gone = set[str](), list[tuple[str, str]]()
    for path, text in texts():
        above = [folder for folder in path.parents if folder.is_relative_to(ROOT)]
        for name in set(file.findall(text)) - OTHERS:
            named.add(name)
            if not any((folder / name).exists() for folder in (*above, SOURCE, ROOT / "src", ROOT / "tests")):
                gone.append((str(path.relative_to(ROOT)), name))
    assert len(named) > 200
    assert gone == []


def test_every_module_that_somebody_is_told_to_run_is_there() -> None:
    module = re.compile(r"(?:python3?|-P|-u) -m ((?:hatchway|tests|bench|scripts|fuzz|mutation)(?:\.\w+)*)\b")
    named = {name for _, text in texts() for name in module.findall(text)}
    assert {"tests.ha.upgrades", "bench.scale", "hatchway"} <= named
    files = [
        path
        for name in named
        for path in (ROOT / name.replace(".", "/"), SOURCE.parent / name.replace(".", "/"))
    ]
    there = [path for path in files if path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()]
    assert named - {".".join(path.relative_to(ROOT).parts).removeprefix("src.") for path in there} == set()


def test_every_test_that_the_makefile_names_is_there() -> None:
    named = re.findall(r"\btests(?:/\w+)+(?:\.py)?(?:::\w+)?", MAKEFILE)
    assert len(named) > 15
    assert [
        name
        for name in named
        for path, _, test in [name.partition("::")]
        if not (ROOT / path).exists() or (test and f"def {test}(" not in (ROOT / path).read_text())
    ] == []


@pytest.mark.parametrize(
    "patterns",
    [
        TOOLS["ruff"]["lint"]["per-file-ignores"],
        TOOLS["mypy"]["files"],
        TOOLS["hatch"]["build"]["targets"]["sdist"]["include"],
        TOOLS["hatch"]["build"]["targets"]["wheel"]["packages"],
        [TOOLS["own-tests"]["source"], *(f"src/hatchway/{name}" for name in TOOLS["own-tests"]["packages"])],
    ],
    ids=["ruff", "mypy", "sdist", "wheel", "own-tests"],
)
def test_what_the_configuration_names_is_there(patterns: list[str]) -> None:
    assert [pattern for pattern in patterns if not any(ROOT.glob(pattern))] == []


def test_each_package_has_a_floor_of_coverage_and_nothing_else_has() -> None:
    floors = json.loads((ROOT / "scripts/coverage_floors.json").read_text())
    assert set(floors) == PACKAGES | {"modules beside the packages"}


def test_every_name_that_the_benchmarks_import_is_there() -> None:
    imported = {
        (node.module, name.name)
        for path in sorted((ROOT / "bench").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
        if node.module.split(".")[0] in {"hatchway", "tests", "scripts"}
    }
    assert len(imported) > 50
    assert {(module, name) for module, name in imported if not is_there(module, name)} == set()


def is_there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    # What is imported for types alone may be known to type checkers alone.
    return hasattr(found, name) or find_spec(f"{module}.{name}") is not None


def test_every_logger_bears_the_name_of_the_package_that_it_is_in() -> None:
    """By which whoever reads a log finds the code, and a collector's rule what it looks for."""
    named, elsewhere = set[str](), list[tuple[str, str]]()
    for path in SOURCE.rglob("*.py"):
        module = ".".join(("hatchway", *path.relative_to(SOURCE).with_suffix("").parts))
        for name in re.findall(r'^log = structlog\.get_logger\("(.*)"\)$', path.read_text(), re.MULTILINE):
            named.add(name)
            if name.count(".") == 0 or not f"{module}.".startswith(f"{name}."):
                elsewhere.append((module, name))
    assert {"hatchway.control", "hatchway.gateway"} <= named
    assert elsewhere == []
