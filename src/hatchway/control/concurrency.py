"""How many calls of each principal are being answered, and whose writes go one after the other."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

SLOW: Final = 0.05
"""Seconds of computing after which a write was a slow one: most take a few thousandths."""
REMEMBERED: Final = 30.0
"""Seconds for which it is remembered whose it was."""
LONGEST_WAIT: Final = 15.0
"""Seconds for which a write waits for those of the same principal: as long as for the store's write lock."""


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


class SlowWriters:
    """Has the writes of whoever makes slow ones go one after the other. Thread-safe.

    The store's one write lock goes to any who wait for it. So whoever had many slow writes under way would
    have had nearly all of its time. Quick ones stay together: they wait for the disk as one.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._lock = Lock()

    @contextmanager
    def turn(self, principal: str) -> Iterator[None]:
        """The context of one write.

        Raises:
            TooManyCalls: the principal's other ones take too long.
        """
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
            if time.thread_time() - began > SLOW:
                self._remember(principal)

    def _remember(self, principal: str) -> None:
        now = time.monotonic()
        with self._lock:
            for other in [other for other, turn in self._turns.items() if turn.until <= now]:
                del self._turns[other]
            self._turns.setdefault(principal, _Turn(0.0)).until = now + REMEMBERED
