"""Whether the compiled core is there, and that it and Python mean the same."""

import asyncio
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from tests.transport.compiled import needs_core

from hatchway.transport.connection import allowance, tls
from hatchway.transport.core import loading
from hatchway.transport.core.source_digest import source_digest
from hatchway.transport.websocket import frames


def load_as(monkeypatch: pytest.MonkeyPatch, core: object) -> tuple[ModuleType | None, str, bool]:
    monkeypatch.setitem(sys.modules, "hatchway.transport.core._core", core)
    return loading._load()


@pytest.fixture
def of_these_sources() -> ModuleType:
    core = ModuleType("_core")
    core.SOURCES = source_digest(Path(loading.__file__).parent)  # type: ignore[attr-defined]
    return core


def test_where_none_was_built_it_is_told_how_to_build_one(monkeypatch: pytest.MonkeyPatch) -> None:
    core, problem, is_built = load_as(monkeypatch, None)
    assert (core, is_built) == (None, False)
    assert "make core" in problem


def test_one_that_cannot_be_loaded_is_none_and_why_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import hatchway.transport.core as package

    (tmp_path / "_core.abi3.so").write_bytes(b"nothing that a linker knows")
    monkeypatch.delitem(sys.modules, "hatchway.transport.core._core", raising=False)
    monkeypatch.delattr(package, "_core", raising=False)
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    core, problem, is_built = loading._load()
    assert (core, is_built) == (None, True)
    assert "_core.abi3.so" in problem


def test_one_of_these_sources_is_taken(monkeypatch: pytest.MonkeyPatch, of_these_sources: ModuleType) -> None:
    assert load_as(monkeypatch, of_these_sources) == (of_these_sources, "", True)


@pytest.mark.parametrize("told", [{}, {"SOURCES": "0" * 64}], ids=["of before digests", "of others"])
def test_one_of_other_sources_is_not_and_it_is_told_how_to_build_it_again(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str]
) -> None:
    core, problem, is_built = load_as(monkeypatch, SimpleNamespace(**told))
    assert (core, is_built) == (None, True)
    assert "make core" in problem
    assert "scripts/build_core.py" in problem


def test_where_there_are_no_sources_as_in_a_wheel_it_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loading, "__file__", str(tmp_path / "loading.py"))
    wheels = ModuleType("_core")
    assert load_as(monkeypatch, wheels) == (wheels, "", True)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (asyncio.BaseEventLoop, "_timer_handle_cancelled", None),
        (asyncio.BaseEventLoop, "_ready", property(lambda _self: [], lambda _self, _value: None)),
        (asyncio.BaseEventLoop, "_scheduled", property(lambda _self: {}, lambda _self, _value: None)),
    ],
    ids=["no such method", "no deque", "no list"],
)
def test_with_an_asyncio_that_its_event_loop_does_not_know_it_is_not(
    monkeypatch: pytest.MonkeyPatch, of_these_sources: ModuleType, owner: type, name: str, value: object
) -> None:
    monkeypatch.setattr(owner, name, value, raising=False)
    monkeypatch.setattr(asyncio.BaseEventLoop, "close", lambda _self: None)
    monkeypatch.delattr(asyncio.BaseEventLoop, "__del__")
    core, problem, is_built = load_as(monkeypatch, of_these_sources)
    assert (core, is_built) == (None, True)
    assert f"the asyncio of Python {platform.python_version()}" in problem


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
def test_python_and_the_core_have_the_same_bounds() -> None:
    core = loading.CORE
    assert core is not None
    assert core.MAX_FRAME == frames.MAX_FRAME
    assert core.MOST_FRAMES == frames.MOST_FRAMES
    assert round(tls.TURN * 1e9) == core.TURN
    assert (core.RECORDS, core.SMALL, core.SMALL_COUNTS) == (tls._RECORDS, tls._SMALL, tls._SMALL_COUNTS)
    assert (core.FREE, core.SMALL_RECORD, core.EMPTY_RECORD) == (
        allowance.FREE,
        allowance.SMALL_RECORD,
        allowance.EMPTY_RECORD,
    )
