"""The event loop of local ports: the compiled core's where that was built, which carries data by itself; else
Python's own.

Not uvloop's, which takes less: libuv polls a descriptor no more once it has an error, and uvloop has a reader
called once for it. Where a reset comes right behind data that call reads the data, and the reset is never
told of (libuv issue 3796): a tunnel whose gateway or local end was gone stayed for ever.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")

COMPILED_CORE: Final = "HATCHWAY_COMPILED_CORE"
"""The variable that has a gateway do without the core when it is `off`; the client too."""

_CORE_S: Final = "hatchway.transport.core.event_loop"


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """As `asyncio.run`."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes it; None has Python make its own."""
    if not uses_core():
        return None
    from hatchway.transport.core.event_loop import new_event_loop

    return new_event_loop


def uses_core() -> bool:
    """Whether it is to be the core's."""
    if os.environ.get(COMPILED_CORE) == "off":
        return False
    from hatchway.transport.core.loading import CORE

    return CORE is not None


def is_core_s(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether it is the core's."""
    core_s = sys.modules.get(_CORE_S)
    return core_s is not None and isinstance(loop, core_s.CoreLoop)
