"""Whether the compiled core is there, and that it and Python mean the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.transport.compiled import needs_core

from hatchway.transport.connection import allowance, tls
from hatchway.transport.core import loading
from hatchway.transport.websocket import core_connection, frames


def test_a_core_that_cannot_be_loaded_is_none_and_why_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import hatchway.transport.core

    monkeypatch.delattr(hatchway.transport.core, "_core", raising=False)
    monkeypatch.setitem(sys.modules, "hatchway.transport.core._core", None)
    core, problem = loading._load()
    assert core is None
    assert "_core" in problem


def test_one_that_can_be_loaded_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import hatchway.transport.core

    monkeypatch.setattr(hatchway.transport.core, "_core", sys, raising=False)
    assert loading._load() == (sys, "")


def test_its_tests_skip_where_it_was_not_compiled(pytestconfig: pytest.Config) -> None:
    without = "import sys; sys.modules['hatchway.transport.core._core'] = None\n"
    run = "import pytest; sys.exit(pytest.main(['-q', '-rs', '-p', 'no:cacheprovider', *sys.argv[1:]]))"
    names = ("core/test_pump.py", "core/test_core_tls.py", "websocket/test_core_connection.py")
    tests = [Path(__file__).parents[1] / name for name in names]
    done = subprocess.run(
        [sys.executable, "-c", without + run, *tests],
        cwd=pytestconfig.rootpath,
        env={name: value for name, value in os.environ.items() if name != "CI"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the core is not compiled" in done.stdout


@needs_core
def test_python_and_the_core_have_the_same_bounds_and_marks() -> None:
    core = loading.CORE
    assert core is not None
    marks = (
        "FULL",
        "NOTHING",
        "END",
        "REST",
        "PLAIN",
        "ENCRYPTED",
        "COST",
        "TLS_ENDED",
        "TLS_FAILED",
        "OUTGOING",
    )
    for mark in (*marks, "FAILED"):
        assert getattr(core, mark) == getattr(core_connection, mark), mark
    assert core.READ_SIZE == core_connection.READ_SIZE
    assert core.PUSH_SIZE == core_connection.PUSH_SIZE
    assert core.MAX_FRAME == frames.MAX_FRAME
    assert core.MOST_FRAMES == frames.MOST_FRAMES
    assert round(tls.TURN * 1e9) == core.TURN
    assert (core.RECORDS, core.SMALL, core.SMALL_COUNTS) == (tls._RECORDS, tls._SMALL, tls._SMALL_COUNTS)
    assert (core.FREE, core.SMALL_RECORD, core.EMPTY_RECORD) == (
        allowance.FREE,
        allowance.SMALL_RECORD,
        allowance.EMPTY_RECORD,
    )
