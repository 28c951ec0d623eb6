#!/usr/bin/env python3
"""Check that the tests that bear a module's name cover it wholly: each statement, each way out of a branch.

The tests of `src/hatchway/iam/trust.py` are `tests/iam/test_trust.py` and `tests/iam/test_trust_*.py`, except
for a file whose name fits a longer module's name; those of an `__init__.py` are `test_package.py`. A module
that is covered as soon as it is imported, having no function and no choice, needs none.

Each module's tests run in a process of their own, forked from one that has imported the packages: what
another module's tests reach, or leave in a cache, does not count; neither does what further processes do.

`packages` of `[tool.own-tests]` in pyproject.toml are held to this, and `[tool.own-tests.partial]` lists the
modules that are not there yet, each with its reason: one that is covered by now may not stay in the list. A
line or a branch is left out by `# pragma: no cover (reason)` or `# pragma: no branch (reason)`.

    scripts/own_tests.py                                      every package
    scripts/own_tests.py iam src/hatchway/keys/vault.py       a package and a module
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.metadata import entry_points
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import coverage
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from multiprocessing.context import ForkProcess

_PRAGMA: Final = re.compile(r"#\s*pragma:\s*no\s*(cover|branch)(?P<reason> \(\S.*\))?")
_FORKS: Final = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Project:
    """Where the modules and their tests are. `source` is the folder of the distribution's package."""

    source: Path
    tests: Path
    packages: tuple[str, ...]
    partial: Mapping[str, str]

    @classmethod
    def read(cls, root: Path) -> Project:
        table = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["own-tests"]
        source = root / table["source"]
        return cls(source, root / "tests", tuple(table["packages"]), table.get("partial", {}))


@dataclass(frozen=True)
class Module:
    """`name` is its path in the distribution's package: `iam/trust.py`."""

    name: str
    path: Path
    tests: tuple[Path, ...]


@dataclass(frozen=True)
class Result:
    """What the tests of a module leave of it, or why that cannot be said."""

    module: Module
    missing: tuple[str, ...]
    failure: str = ""


def find_modules(project: Project) -> list[Module]:
    """The modules of the packages, in their order; a package that is not there has none."""
    return [
        Module(str(path.relative_to(project.source)), path, tuple(_own_tests(project, path)))
        for package in project.packages
        for path in sorted((project.source / package).rglob("*.py"))
    ]


def _own_tests(project: Project, path: Path) -> Iterator[Path]:
    folder = project.tests / path.parent.relative_to(project.source)
    siblings = {_tested_name(sibling) for sibling in path.parent.glob("*.py")}
    for test in sorted(folder.glob("test_*.py")):
        words = test.stem.removeprefix("test_").split("_")
        names = ("_".join(words[:length]) for length in range(len(words), 0, -1))
        if next((name for name in names if name in siblings), None) == _tested_name(path):
            yield test


def _tested_name(path: Path) -> str:
    return "package" if path.stem == "__init__" else path.stem


def pragmas_without_reason(source: Path) -> list[str]:
    """`file:line` of each exclusion that does not say why."""
    return [
        f"{path.relative_to(source)}:{number}: a pragma needs its reason beside it, in parentheses"
        for path in sorted(source.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := _PRAGMA.search(line)) and not found["reason"]
    ]


def measure(project: Project, modules: Sequence[Module], jobs: int) -> list[Result]:
    """What each module's own tests leave of it, in the order of the modules; `jobs` run at a time."""
    for plugin in entry_points(group="pytest11"):
        # Here once, not in each process.
        plugin.load()
    measured = coverage.Coverage(data_file=None, config_file=False, branch=True, source=[str(project.source)])
    measured.start()
    for module in modules:
        importlib.import_module(_import_name(project, module.path))
    measured.stop()
    imports = measured.get_data().dumps()
    with tempfile.TemporaryDirectory() as directory:
        at_import = {module: _missing(measured, module, Path(directory, "import.json")) for module in modules}
        waiting = [module for module in reversed(modules) if at_import[module] and module.tests]
        results = {
            module: Result(
                module, missing, "" if module.tests or not missing else "it has no tests of its own"
            )
            for module, missing in at_import.items()
        }
        running: dict[int, tuple[ForkProcess, Module, Path]] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                module = waiting.pop()
                answer = Path(directory, module.name.replace("/", "+"))
                process = _FORKS.Process(target=_run, args=(measured, imports, module, answer))
                process.start()
                running[process.sentinel] = process, module, answer
            for ended in wait(list(running)):
                assert isinstance(ended, int)
                process, module, answer = running.pop(ended)
                process.join()
                results[module] = _result(module, process.exitcode, answer)
    return [results[module] for module in modules]


def _import_name(project: Project, path: Path) -> str:
    parts = path.relative_to(project.source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _run(measured: coverage.Coverage, imports: bytes, module: Module, answer: Path) -> None:
    """In a process of its own: the module's tests, and what they leave of it as lines of `answer`."""
    output = os.open(answer.with_suffix(".output"), os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # A machine that is busy, and measures besides, is slow and not wrong.
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--timeout=1200",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    failed = pytest.main([*options, *map(str, module.tests)], plugins=[_FromCollection(measured)])
    measured.stop()
    # In a new process coverage forgets what it knew.
    before = coverage.CoverageData(no_disk=True)
    before.loads(imports)
    measured.get_data().update(before)
    answer.write_text("\n".join(_missing(measured, module, answer.with_suffix(".json"))))
    sys.exit(failed)


@dataclass
class _FromCollection:
    """What pytest does before it comes to the tests need not be slowed down by measuring.

    Of Hypothesis's examples there are few, the same at each run, so that what is covered is the same too.
    """

    measured: coverage.Coverage

    def pytest_collection(self) -> None:
        settings.register_profile(
            "own-tests", deadline=None, derandomize=True, database=None, max_examples=10
        )
        settings.load_profile("own-tests")
        self.measured.start()


def _missing(measured: coverage.Coverage, module: Module, report: Path) -> tuple[str, ...]:
    """The lines (`12`) and ways (`12->15`, `12->exit`) that nothing has taken."""
    try:
        measured.json_report([str(module.path)], outfile=str(report))
    except coverage.exceptions.NoDataError:
        # Nothing in it can run: it is empty.
        return ()
    (file,) = json.loads(report.read_text())["files"].values()
    lines: list[int] = file["missing_lines"]
    ways: list[list[int]] = file["missing_branches"]
    return (
        *map(str, lines),
        # One from or to a line that was never reached goes without saying.
        *(f"{start}->{'exit' if end < 0 else end}" for start, end in ways if not {start, end} & {*lines}),
    )


def _result(module: Module, exit_code: int | None, answer: Path) -> Result:
    if exit_code == 0:
        return Result(module, tuple(answer.read_text().split()))
    output = answer.with_suffix(".output")
    said = output.read_text(errors="replace") if output.exists() else ""
    return Result(module, (), f"its own tests fail\n{said}\nit ended with {exit_code}")


def faults(results: Iterable[Result], partial: Mapping[str, str]) -> list[str]:
    """What there is to mend, a text for each."""
    found = []
    for result in results:
        name = result.module.name
        if name in partial and (result.failure or result.missing):
            continue
        if result.failure:
            found.append(f"{name}: {result.failure}")
        elif result.missing:
            found.append(f"{name}: its own tests leave {', '.join(result.missing)}")
        elif name in partial:
            found.append(f"{name}: covered wholly: take it out of the list")
    return found


def stale_entries(project: Project, modules: Iterable[Module]) -> list[str]:
    """Packages that have no module, and entries of the list that name none, or give no reason."""
    names = {module.name for module in modules}
    gone = [
        f"{package}: held to this, but there is no such package"
        for package in project.packages
        if not any(name.startswith(f"{package}/") for name in names)
    ]
    return gone + [
        f"{name}: listed, but {'without a reason' if name in names else 'there is no such module'}"
        for name, reason in project.partial.items()
        if name not in names or not reason.strip()
    ]


def _chosen(project: Project, modules: Sequence[Module], wanted: Sequence[str]) -> list[Module]:
    if not wanted:
        return list(modules)
    chosen = []
    for text in wanted:
        path = Path(text).absolute()
        fitting = [m for m in modules if m.path == path or m.name.startswith(f"{text}/")]
        if not fitting:
            raise SystemExit(
                f"own_tests: {text} is neither a package of {list(project.packages)} nor a module of one"
            )
        chosen += fitting
    return list(dict.fromkeys(chosen))


def main(arguments: Sequence[str], root: Path) -> int:
    parser = argparse.ArgumentParser(
        description="Check that the tests that bear a module's name cover it wholly."
    )
    parser.add_argument("wanted", nargs="*", metavar="PACKAGE|FILE", help="only these (all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time (as many as processors)")
    options: Any = parser.parse_args(arguments)
    project = Project.read(root)
    modules = find_modules(project)
    chosen = _chosen(project, modules, options.wanted)
    found = faults(measure(project, chosen, options.jobs), project.partial)
    if not options.wanted:
        found += stale_entries(project, modules) + pragmas_without_reason(project.source)
    print(
        "\n".join(found) or f"own tests: {len(chosen)} modules covered wholly",
        file=sys.stderr if found else None,
    )
    return 1 if found else 0


if __name__ == "__main__":
    os.chdir(Path(__file__).parent.parent)
    sys.exit(main(sys.argv[1:], Path.cwd()))
