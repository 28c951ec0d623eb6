"""The event loop of local ports: uvloop's where it is installed, which takes less for each time that there is
something to read; else Python's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """As `asyncio.run`; SIGINT cancels `main`."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes it; None has Python make its own."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return None
    return new_event_loop
