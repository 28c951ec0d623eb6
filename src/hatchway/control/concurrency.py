"""How many calls of each principal are being answered, and whose go one after the other."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import BoundedSemaphore, Lock
from typing import Final

from hatchway.domain.leaky_bucket import LeakyBuckets

SLOW_WRITE: Final = 0.05
SLOW_READ: Final = 0.2
"""Seconds of computing after which a call was a slow one: most take a few thousandths."""
MUCH_READING: Final = 1.0
FORGIVEN: Final = 0.1
"""Seconds of computing after which many quick calls are as bad as a slow one, and how many of them are taken
off each second: twelve at a time, each below what is slow, left other callers a hundredth of their calls."""
REMEMBERED: Final = 30.0
"""Seconds for which it is remembered whose it was."""
MOST: Final = 10_000
"""Principals whose CPU time is counted; beyond that, those that called longest ago begin anew."""
READ_TOGETHER: Final = 2
"""Calls of one principal that are computed at once, where nobody knows yet that they are slow: Python runs
one thread at a time, so more gain nothing by it."""
LONGEST_WAIT: Final = 5.0
"""Seconds for which a call waits for those of the same principal: one that reads holds a connection to the
store meanwhile."""


class TooManyCalls(Exception):
    """The caller has as many calls under way as one principal may have; or another bound of its calls."""

    def __init__(self, message: str = "Too many of your calls are under way. Send fewer at once.") -> None:
        super().__init__(message)


class ConcurrentCalls:
    """Counts them. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def one_more(self, principal: str) -> Iterator[None]:
        """Counts one within the context.

        Raises:
            TooManyCalls: there are as many as there may be.
        """
        with self._lock:
            if self._of[principal] >= self._most:
                raise TooManyCalls
            self._of[principal] += 1
        try:
            yield
        finally:
            with self._lock:
                self._of[principal] -= 1
                if not self._of[principal]:
                    del self._of[principal]


@dataclass(slots=True)
class _Turn:
    until: float
    lock: Lock = field(default_factory=Lock)


@dataclass(slots=True)
class _Room:
    free: BoundedSemaphore
    wanted: int = 0


class SlowCalls:
    """Has the calls of whoever makes slow ones, or very many, go one after the other. Thread-safe.

    Python runs one thread at a time, and the store's one write lock goes to any who wait for it. So whoever
    had many slow calls under way would have had nearly all of the time. Quick ones stay together: writes wait
    for the disk as one.
    """

    def __init__(self, slow: float, much: float = inf, together: int | None = None) -> None:
        """`slow` is after how many seconds of computing a call is one, `much` how many those of one principal
        may lately come to before all are taken for slow. `together` is how many may be computed at once of
        which it is not known yet."""
        self._slow = slow
        self._much = much
        self._turns: dict[str, _Turn] = {}
        self._computed = LeakyBuckets(FORGIVEN, MOST)
        self._together = together
        self._rooms: dict[str, _Room] = {}
        self._lock = Lock()

    @contextmanager
    def turn(self, principal: str) -> Iterator[None]:
        """The context of one call.

        Raises:
            TooManyCalls: the principal's other ones take too long.
        """
        with self._room(principal), self._turn(principal):
            yield

    @contextmanager
    def _room(self, principal: str) -> Iterator[None]:
        if self._together is None:
            yield
            return
        with self._lock:
            room = self._rooms.get(principal)
            if room is None:
                room = self._rooms[principal] = _Room(BoundedSemaphore(self._together))
            room.wanted += 1
        try:
            if not room.free.acquire(timeout=LONGEST_WAIT):
                raise TooManyCalls
            try:
                yield
            finally:
                room.free.release()
        finally:
            with self._lock:
                room.wanted -= 1
                if not room.wanted:
                    del self._rooms[principal]

    @contextmanager
    def _turn(self, principal: str) -> Iterator[None]:
        with self._lock:
            turn = self._turns.get(principal)
        if turn is not None and time.monotonic() < turn.until:
            if not turn.lock.acquire(timeout=LONGEST_WAIT):
                raise TooManyCalls
            try:
                with self._measured(principal):
                    yield
            finally:
                turn.lock.release()
        else:
            with self._measured(principal):
                yield

    @contextmanager
    def _measured(self, principal: str) -> Iterator[None]:
        began = time.thread_time()
        try:
            yield
        finally:
            seconds = time.thread_time() - began
            with self._lock:
                lately = self._computed.add(principal, seconds, time.monotonic())
            if lately > self._much or seconds > self._slow:
                self._remember(principal)

    def _remember(self, principal: str) -> None:
        now = time.monotonic()
        with self._lock:
            # One that is held is gone on with: calls in a new one would run beside it.
            over = [of for of, turn in self._turns.items() if turn.until <= now and not turn.lock.locked()]
            for other in over:
                del self._turns[other]
            self._turns.setdefault(principal, _Turn(0.0)).until = now + REMEMBERED
