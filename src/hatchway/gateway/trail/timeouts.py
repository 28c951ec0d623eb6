"""A time limit for many waiting coroutines, with one timer for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio

Answer = TypeVar("Answer")


class SharedTimeout:
    """A time limit of so many seconds for each future. For one event loop at a time.

    `asyncio.timeout` makes a timer each time, which costs more than everything else about waiting.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # In the order in which their time is up.
        self._deadlines: dict[asyncio.Future[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, future: asyncio.Future[Answer]) -> Answer:
        """The future's result.

        Raises:
            TimeoutError: there was none in time; the future is done now.
            Exception: the future's exception.
        """
        loop = future.get_loop()
        self._deadlines[future] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._give_up)
        try:
            return await future
        finally:
            del self._deadlines[future]
            if not self._deadlines and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _give_up(self) -> None:
        """End all waits whose time is up."""
        self._timer = None
        for future, deadline in self._deadlines.items():
            loop = future.get_loop()
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._give_up)
                return
            if not future.done():
                future.set_exception(TimeoutError())
