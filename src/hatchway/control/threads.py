"""The threads that requests are answered in, shared out among those who ask.

Operations are synchronous, and some wait: for a lock, or for a database that hangs. Nobody has more than his
share of the threads meanwhile; the others wait for his calls, his own wait for each other. Who has waited for
too long is told so, for then nothing here will be soon again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread

PATIENCE: Final = 5.0
"""Seconds that a request may wait for a thread."""
PLACES: Final = 500
"""Requests that may wait at once."""

Answer = TypeVar("Answer")


class Busy(Exception):
    """All threads have been taken for so long that the request is not begun."""


class Threads:
    """So many threads. To be used on one event loop."""

    def __init__(self, most: int, *, share: int, places: int = PLACES, patience: float = PATIENCE) -> None:
        """`share` is how many of them one asker may have at once."""
        self._free = most
        self._share = share
        self._places = places
        self._patience = patience
        self._limiter = CapacityLimiter(most)
        self._of: Counter[Hashable] = Counter()
        # The asker whose turn it is comes first.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    async def run(self, asker: Hashable, work: Callable[[], Answer]) -> Answer:
        """What `work` gives, run in a thread when it is this asker's turn.

        Raises:
            Busy: its turn has not come in time, or too many wait.
            Exception: what the work raises.
        """
        await self._turn(asker)
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._of[asker] -= 1
            if not self._of[asker]:
                del self._of[asker]
            self._free += 1
            self._next()

    async def _turn(self, asker: Hashable) -> None:
        if self._free and self._of[asker] < self._share:
            self._take(asker)
            return
        if sum(map(len, self._waiting.values())) >= self._places // (1 + bool(self._waiting.get(asker))):
            raise Busy
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker, deque()).append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except TimeoutError:
            raise Busy from None
        finally:
            if not turn.done() or turn.cancelled():
                self._forget(asker, turn)

    def _take(self, asker: Hashable) -> None:
        self._free -= 1
        self._of[asker] += 1

    def _next(self) -> None:
        """Let those run whose turn it is."""
        for asker in list(self._waiting):
            if not self._free:
                return
            if self._of[asker] >= self._share:
                continue
            queue = self._waiting.pop(asker)
            turn = queue.popleft()
            if queue:
                # After all others.
                self._waiting[asker] = queue
            self._take(asker)
            turn.set_result(None)

    def _forget(self, asker: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(asker)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        if not queue:
            del self._waiting[asker]
