"""One module a parser.

Each has `one_input`, which takes any bytes and raises when something does not hold that must, and `seeds`,
some inputs to begin with. One whose parser takes long input has `growing` too: work to be timed, by what it
is, on input of a size.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAMES: Final = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


class Target:
    """A target by its name."""

    def __init__(self, name: str) -> None:
        module: Any = import_module(f"{__name__}.{name}")
        self.name = name
        self.one_input = cast("Callable[[bytes], None]", module.one_input)
        self.seeds = cast("Callable[[], Iterable[bytes]]", module.seeds)
        self.growing = cast(
            "Callable[[int], Mapping[str, Callable[[], object]]]",
            getattr(module, "growing", lambda _size: {}),
        )
