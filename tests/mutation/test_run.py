"""The runner of mutants, on a module whose mutants are written by hand, as mutmut writes them.

mutmut itself is in an environment of its own (mutation/setup), so what of it is used is stood in for.
"""

import importlib
import os
import sys
import threading
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mutation.survivors import Change

NAME = "shapes_under_mutation"
CODE = """
import os
from mutmut.mutation import trampoline

def call(name, *arguments):
    choice = os.environ["MUTANT_UNDER_TEST"]
    if choice == "stats":
        trampoline.record_trampoline_hit(f"{__name__}.{name}")
    found = choice.rpartition(".")[2]
    return globals()[found if found.startswith(f"{name}__mutmut_") else f"{name}__mutmut_orig"](*arguments)

def x_larger__mutmut_orig(a, b):
    return a if a > b else b
def x_larger__mutmut_1(a, b):
    return a if a >= b else b
def x_larger__mutmut_2(a, b):
    return a if a < b else b
def x_larger__mutmut_3(a, b):
    while True: pass
def larger(a, b):
    return call("x_larger", a, b)

def x_limit__mutmut_orig():
    return 7
def x_limit__mutmut_1():
    return 8
def limit():
    return call("x_limit")

def x_unused__mutmut_orig():
    return 1
def x_unused__mutmut_1():
    return 2

LIMIT = limit()
"""
MUTANTS = [
    "x_larger__mutmut_1",
    "x_larger__mutmut_2",
    "x_larger__mutmut_3",
    "x_limit__mutmut_1",
    "x_unused__mutmut_1",
]
TESTS = f"""
from {NAME} import LIMIT, larger

def test_larger(tmp_path):
    assert larger(1, 2) == larger(2, 1) == 2

def test_limit():
    assert LIMIT == 7
"""


def lines_of(code: str, name: str) -> SimpleNamespace:
    start = next(
        number for number, line in enumerate(code.splitlines(), 1) if line.startswith(f"def {name}(")
    )
    return SimpleNamespace(start=start, end=start + 1)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`mutation.run`, in which what hangs is given up after a second."""
    names = ["mutmut", "mutmut.mutation", "mutmut.mutation.trampoline", "mutmut.mutation.file_mutation"]
    modules = {name: ModuleType(name) for name in names}
    spans = {
        name: lines_of(CODE, name)
        for mutant in MUTANTS
        for name in (mutant, f"{mutant.partition('__mutmut_')[0]}__mutmut_orig")
    }
    mutated = SimpleNamespace(code=CODE, mutant_names=MUTANTS, line_span_by_function_name=spans)
    modules[names[1]].__dict__["trampoline"] = modules[names[2]]
    modules[names[3]].__dict__.update(
        MutatedFile=SimpleNamespace, mutate_file_contents=lambda _path, _text: mutated
    )
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "mutation.run", raising=False)
    loaded = importlib.import_module("mutation.run")
    yield loaded
    del sys.modules["mutation.run"]


def outcome(run: Any, directory: Path, tests: str) -> Any:
    """What comes of the module with these tests; in a process of its own, as `python -m mutation` has it."""
    module, test = directory / f"{NAME}.py", directory / "test_shapes.py"
    module.write_text("The mutants are in its place.")
    test.write_text(tests)

    def work() -> Any:
        sys.path.insert(0, str(directory))
        os.environ.pop("PYTEST_ADDOPTS", None)
        return run.run(NAME, module, [test])

    return run.in_a_fork(work)


def test_a_mutant_that_a_test_notices_is_killed_and_so_is_one_without_end_and_others_survive(
    run: Any, tmp_path: Path
) -> None:
    result = outcome(run, tmp_path, TESTS)
    assert (result.failure, result.mutants) == ("", 5)
    assert result.survivors == [
        Change(f"{NAME}.larger", "return a if a > b else b", "return a if a >= b else b"),
        Change(f"{NAME}.unused", "return 1", "return 2"),
    ]


def test_what_is_called_at_import_is_tried_by_importing_anew(run: Any, tmp_path: Path) -> None:
    result = outcome(run, tmp_path, TESTS.replace("LIMIT == 7", "LIMIT"))
    assert Change(f"{NAME}.limit", "return 7", "return 8") in result.survivors


@pytest.mark.parametrize(
    ("tests", "failure"),
    [
        (TESTS.replace("== 2", "== 3"), "fails without a mutant: test_shapes.py::test_larger"),
        (TESTS.replace("LIMIT,", "LIMITS,"), "its tests cannot be collected"),
    ],
    ids=["a test fails", "a test cannot be read"],
)
def test_tests_that_fail_without_a_mutant_say_nothing_of_any(
    run: Any, tmp_path: Path, tests: str, failure: str
) -> None:
    assert failure in outcome(run, tmp_path, tests).failure


def test_a_process_that_ends_without_an_answer_gives_none(run: Any) -> None:
    assert run.in_a_fork(partial(os._exit, 1)) is None
    assert run.in_a_fork(lambda: {"a": 1}) == {"a": 1}


def test_what_waits_and_does_not_compute_is_given_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_STANDSTILL_SECONDS", 1)

    def wait() -> str:
        run._limit(cpu_seconds=60)
        threading.Event().wait(60)
        return "it went on"

    assert run.in_a_fork(wait) is None
