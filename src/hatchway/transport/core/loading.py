"""Whether the compiled core is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType


def _load() -> tuple[ModuleType | None, str]:
    try:
        from hatchway.transport.core import _core
    except ImportError as missing:
        return None, str(missing)
    return _core, ""


_loaded = _load()

CORE: Final = _loaded[0]
"""The compiled module (`_core.pyi`); None where it was not built, or cannot be loaded."""

PROBLEM: Final = _loaded[1]
"""Why it cannot be."""
