"""The threads that requests are answered in, shared out among those who ask.

Operations are synchronous, and some wait: for a lock, or for a database that hangs. Meanwhile no client has
more than its share of the threads: further calls of that client wait for each other, and do not make others
wait. A request that has waited too long is refused, because then none will be served soon.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeVar

from anyio import CapacityLimiter, to_thread

QUEUE_SECONDS: Final = 5.0
"""Seconds that a request may wait for a thread."""
PLACES: Final = 500
"""Requests that may wait at once."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class ThreadCounts:
    """The threads of one process.

    Attributes:
        calls, call_share: those that answer calls, and those of them that one key from one source may have.
        of_a_principal: calls of one principal that are answered at once, from wherever.
        lookups, lookup_share: the same for what hosts ask, by host.
    """

    calls: int = 24
    call_share: int = 8
    of_a_principal: int = 12
    lookups: int = 6
    lookup_share: int = 3
    others: int = 2

    @classmethod
    def of_one_among(cls, workers: int) -> "ThreadCounts":
        """Those of one of so many processes that serve together: they have the database's connections among
        them."""
        if workers == 1:
            return cls()
        return cls(
            calls=max(6, 24 // workers),
            call_share=max(3, 8 // workers),
            of_a_principal=max(3, 12 // workers),
            lookups=max(2, 6 // workers),
            lookup_share=max(1, 3 // workers),
            others=1,
        )

    @property
    def all(self) -> int:
        """All that use the store at once."""
        return self.calls + self.lookups + self.others + 1


class Busy(Exception):
    """All threads have been taken for so long that the request is not begun."""


class Threads:
    """So many threads. To be used on one event loop."""

    def __init__(
        self, most: int, *, share: int, places: int = PLACES, queue_seconds: float = QUEUE_SECONDS
    ) -> None:
        """`share` is how many of them one client may have at once."""
        self._free = most
        self._share = share
        self._places = places
        self._queue_seconds = queue_seconds
        self._limiter = CapacityLimiter(most)
        self._of: Counter[Hashable] = Counter()
        # The client whose turn it is comes first.
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}

    @property
    def running(self) -> int:
        """Requests that have a thread."""
        return sum(self._of.values())

    @property
    def waiting(self) -> int:
        """Requests that wait for one."""
        return sum(map(len, tuple(self._waiting.values())))

    async def run(self, client: Hashable, work: Callable[[], Answer]) -> Answer:
        """What `work` gives, run in a thread when it is this client's turn.

        Raises:
            Busy: its turn has not come in time, or too many wait.
            Exception: what the work raises.
        """
        await self._turn(client)
        try:
            return await to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._give_back(client)

    async def _turn(self, client: Hashable) -> None:
        if self._free and self._of[client] < self._share:
            self._take(client)
            return
        if sum(map(len, self._waiting.values())) >= self._places // (1 + bool(self._waiting.get(client))):
            raise Busy
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            async with asyncio.timeout(self._queue_seconds):
                await turn
        except BaseException as problem:
            if turn.done() and not turn.cancelled():
                # Its turn came in the moment in which it gave up.
                self._give_back(client)
            else:
                self._forget(client, turn)
            if isinstance(problem, TimeoutError):
                raise Busy from None
            raise

    def _take(self, client: Hashable) -> None:
        self._free -= 1
        self._of[client] += 1

    def _give_back(self, client: Hashable) -> None:
        self._of[client] -= 1
        if not self._of[client]:
            del self._of[client]
        self._free += 1
        self._next()

    def _next(self) -> None:
        """Let those run whose turn it is."""
        for client in list(self._waiting):
            if not self._free:
                return
            if self._of[client] >= self._share:
                continue
            queue = self._waiting.pop(client)
            # Who gives up is in the queue until its task runs.
            turn = next((each for each in queue if not each.done()), None)
            if turn is None:
                continue
            while queue.popleft() is not turn:
                pass
            if queue:
                # After all others.
                self._waiting[client] = queue
            self._take(client)
            turn.set_result(None)

    def _forget(self, client: Hashable, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(client)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        if not queue:
            del self._waiting[client]
