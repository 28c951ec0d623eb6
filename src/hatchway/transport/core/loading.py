"""Whether the compiled core exists and fits: its sources, if they are here, and Python's asyncio."""

from __future__ import annotations

import asyncio
import platform
from collections import deque
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatchway.transport.core.source_digest import source_digest

if TYPE_CHECKING:
    from types import ModuleType

_MODULE: Final = "hatchway.transport.core._core"
_NOT_BUILT: Final = (
    "it was not built: run make core in a checkout, or install a wheel that make wheel has made"
)
_STALE: Final = "it was built of other sources than are here: run make core, or scripts/build_core.py"
_STRANGE_ASYNCIO: Final = f"its event loop does not fit the asyncio of Python {platform.python_version()}"

_OF_LOOPS: Final = ("_run_once", "_call_soon", "_process_events", "_timer_handle_cancelled")
_VALUES: Final = {"_closed": False, "_stopping": False, "_timer_cancelled_count": 0}
_OF_HANDLES: Final = ("_run", "_callback", "_cancelled", "_scheduled", "_when", "_source_traceback")
"""The methods and attributes of asyncio that `event_loop`, loop.c and handle.c replace, or that call them."""


class CoreProblem(Exception):
    """The compiled core is demanded and cannot be used. The message says why, and what to do."""


def _load() -> tuple[ModuleType | None, str, bool]:
    try:
        core = import_module(_MODULE)
    except ModuleNotFoundError:
        return None, _NOT_BUILT, False
    except ImportError as problem:
        return None, f"it cannot be loaded: {problem}", True
    here = source_digest(Path(__file__).parent)
    if here is not None and getattr(core, "SOURCES", None) != here:
        return None, _STALE, True
    if not _knows_asyncio():
        return None, _STRANGE_ASYNCIO, True
    return core, "", True


def _knows_asyncio() -> bool:
    """Whether the parts of asyncio that the core's loop uses are as in CPython 3.11 to 3.14."""
    loop = asyncio.BaseEventLoop()
    try:
        return (
            type(getattr(loop, "_ready", None)) is deque
            and type(getattr(loop, "_scheduled", None)) is list
            and all(getattr(loop, name, None) == value for name, value in _VALUES.items())
            and all(callable(getattr(loop, name, None)) for name in _OF_LOOPS)
            and hasattr(loop, "_debug")
            and all(hasattr(asyncio.TimerHandle, name) for name in _OF_HANDLES)
        )
    finally:
        loop.close()


_loaded = _load()

CORE: Final = _loaded[0]
"""The compiled module (`_core.pyi`); None if it was not built or cannot be used."""

PROBLEM: Final = _loaded[1]
"""Why it cannot be used, and what to do; empty if it can."""

IS_BUILT: Final = _loaded[2]
"""Whether it exists, usable or not."""
