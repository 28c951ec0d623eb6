"""One module under mutation: a small change at a time, which the module's own tests must notice.

mutmut makes the changes: of each function it writes every mutant beside the original, and a switch that calls
the one whose name is in the environment. Its own runner starts pytest anew for every mutant, and cannot name
tests whose parameters hold a "::"; here the tests are collected once, and each mutant is a fork that runs
those which reach its function, the quickest first, until one fails.
"""

from __future__ import annotations

import difflib
import gc
import os
import pickle
import resource
import signal
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

import pytest
from _pytest.tmpdir import tmppath_result_key
from hypothesis import settings
from mutmut.mutation import trampoline
from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents

from mutation.survivors import Change

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import CodeType

_CHOICE: Final = "MUTANT_UNDER_TEST"
_RECORD: Final = "stats"
"""The choice under which the switches tell which functions are called."""

_LEAST_CPU_SECONDS: Final = 1
_TIMES_AS_LONG: Final = 10
"""As its tests take without a mutant; what then still runs has no end, and is noticed by that."""
_STANDSTILL_SECONDS: Final = 300
"""One that waits for so long and computes less than a second is given up; a busy machine gives it more."""


@dataclass
class Outcome:
    """How many mutants a module has, and those that its tests do not notice."""

    mutants: int = 0
    survivors: list[Change] = field(default_factory=list)
    failure: str = ""


def run(name: str, path: Path, tests: Sequence[Path]) -> Outcome:
    """Try every mutant of the module `name`, whose source is `path`."""
    mutated = mutate_file_contents(str(path), path.read_text())
    sys.meta_path.insert(0, _Finder(name, path, mutated.code))
    session = _Session(name, mutated.mutant_names, tests)
    answer = in_a_fork(session.quickly)
    if answer is None or answer.failure:
        return Outcome(failure=answer.failure if answer else "its tests do not run")
    survivors = [
        mutant
        for mutant in answer.survivors
        # What import or collection calls has been called before a mutant was chosen.
        if _function(mutant) not in answer.called_early or in_a_fork(partial(session.slowly, mutant))
    ]
    return Outcome(len(mutated.mutant_names), [_change(name, mutated, mutant) for mutant in survivors])


def _function(mutant: str) -> str:
    return mutant.partition("__mutmut_")[0]


def _change(module: str, mutated: MutatedFile, mutant: str) -> Change:
    lines = mutated.code.splitlines()

    def text(name: str) -> list[str]:
        span = mutated.line_span_by_function_name[name]
        return [line.replace(name, "") for line in lines[span.start - 1 : span.end]]

    function = _function(mutant)
    differences = list(difflib.ndiff(text(f"{function}__mutmut_orig"), text(mutant)))
    before, after = (
        "\n".join(line[2:].strip() for line in differences if line.startswith(sign)) for sign in "-+"
    )
    shown = ".".join(function.removeprefix("xǁ").removeprefix("x_").split("ǁ"))
    return Change(f"{module.removeprefix('hatchway.')}.{shown}", before, after)


class _Finder(MetaPathFinder):
    """Has one module imported from the text that holds its mutants."""

    def __init__(self, name: str, path: Path, code: str) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Loader(fullname, str(self._path))
        loader.code = self._code
        packages = [str(self._path.parent)] if self._path.name == "__init__.py" else None
        return spec_from_file_location(
            fullname, self._path, loader=loader, submodule_search_locations=packages
        )


class _Loader(SourceFileLoader):
    code = ""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self.code, self.path, "exec", dont_inherit=True)
        return code


@dataclass
class _Answer:
    survivors: list[str] = field(default_factory=list)
    called_early: set[str] = field(default_factory=set)
    failure: str = ""


@dataclass(frozen=True)
class _Session:
    """The tests of a module, and how they are run with its mutants."""

    module: str
    mutants: Sequence[str]
    tests: Sequence[Path]

    def quickly(self) -> _Answer:
        """Collect once, and try each mutant."""
        loop = _Loop(self.module, self.mutants)
        code = self._pytest(loop)
        if code and not loop.answer.failure:
            loop.answer.failure = f"its tests cannot be collected (pytest ends with {int(code)})"
        return loop.answer

    def slowly(self, mutant: str) -> bool:
        """Import and run everything with the mutant; whether it survives."""
        os.environ[_CHOICE] = f"{self.module}.{mutant}"
        _limit(cpu_seconds=120)
        return self._pytest() == pytest.ExitCode.OK

    def _pytest(self, *plugins: object) -> int | pytest.ExitCode:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        arguments = ["-qx", "--assert=plain", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
        return pytest.main([*arguments, *map(str, self.tests)], plugins=[_FewExamples(), *plugins])


class _FewExamples:
    """Hypothesis tries little, and the same each time: a mutant that only luck notices is a survivor."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        settings.register_profile("mutation", deadline=None, database=None, derandomize=True, max_examples=30)
        settings.load_profile("mutation")


class _Loop:
    """Takes the place of pytest's own loop over the tests."""

    def __init__(self, module: str, mutants: Sequence[str]) -> None:
        self._module, self._mutants = module, mutants
        self._called: set[str] = set()
        self.answer = _Answer()
        trampoline.record_trampoline_hit = self._record
        os.environ[_CHOICE] = _RECORD

    def _record(self, name: str, **_: object) -> None:
        self._called.add(name.rpartition(".")[2])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.answer.failure = "its tests cannot be collected"
            return True
        self.answer.called_early = set(self._called)
        if (stores := sys.modules.get("tests.store.migrated")) is not None:
            stores.migrated_database()  # every fork would make it anew, which takes longer than most tests
        gc.freeze()  # what forks only read they need not copy
        known = in_a_fork(partial(self._first_run, session.items))
        if isinstance(known, list):
            self._try_all(session.items, known)
        else:
            self.answer.failure = f"fails without a mutant: {known}"
        return True

    def _first_run(self, items: Sequence[pytest.Item]) -> list[tuple[set[str], float]] | str:
        """Of each test, the functions that it calls and the CPU seconds that it takes; or one that fails."""
        known = []
        for index, item in enumerate(items):
            self._called.clear()
            start = time.process_time()
            if _fails(item, items[index + 1] if index + 1 < len(items) else None):
                return item.nodeid
            known.append((set(self._called), time.process_time() - start))
        return known

    def _try_all(self, items: Sequence[pytest.Item], known: list[tuple[set[str], float]]) -> None:
        quickest_first = sorted(zip(items, known, strict=True), key=lambda pair: pair[1][1])
        for mutant in self._mutants:
            function = _function(mutant)
            reaching = [(item, seconds) for item, (called, seconds) in quickest_first if function in called]
            if in_a_fork(partial(self._survives, mutant, reaching)):
                self.answer.survivors.append(mutant)

    def _survives(self, mutant: str, reaching: Sequence[tuple[pytest.Item, float]]) -> bool:
        seconds = sum(seconds for _, seconds in reaching)
        _limit(cpu_seconds=_LEAST_CPU_SECONDS + int(_TIMES_AS_LONG * seconds))
        os.environ[_CHOICE] = f"{self._module}.{mutant}"
        items = [item for item, _ in reaching]
        return not any(_fails(item, following) for item, following in zip_longest(items, items[1:]))


def _fails(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Whether a test fails; nothing is told of how, which is what takes pytest long."""
    # What pytest's reports leave for the fixture tmp_path, which else fails at its end.
    item.stash[tmppath_result_key] = {}
    try:
        item.ihook.pytest_runtest_setup(item=item)
        item.ihook.pytest_runtest_call(item=item)
        item.ihook.pytest_runtest_teardown(item=item, nextitem=following)
    except pytest.skip.Exception:
        item.ihook.pytest_runtest_teardown(item=item, nextitem=following)
    except (Exception, pytest.fail.Exception):
        return True
    return False


def _limit(cpu_seconds: int) -> None:
    """End this process by a signal when it computes for longer, or stands still, or takes all memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    computed = time.process_time()

    def look(*_: object) -> None:
        nonlocal computed
        before, computed = computed, time.process_time()
        if computed - before < 1:
            os._exit(1)
        signal.alarm(_STANDSTILL_SECONDS)

    signal.signal(signal.SIGALRM, look)
    signal.alarm(_STANDSTILL_SECONDS)


def in_a_fork(function: Callable[[], Any]) -> Any:
    """What `function` gives in a process of its own; None when that ends without an answer."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            answer = pickle.dumps(function())
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(answer) if answer else None
