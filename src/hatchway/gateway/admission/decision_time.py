"""How much of a worker's time the decisions on each principal's requests take: a token bucket of seconds.

A worker decides on its event loop, one request after the other. What a decision takes is up to policies: most
take a tenth of a millisecond, and some hundred conditions full of wildcards fifty times that. Whose decisions
take long may have some of them at once, and then its share of the time. Others' never wait for it.

It is told by computing, not by the clock: that the machine is busy is nobody's fault.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ORDINARY: Final = 0.001
"""Seconds that a decision may take without being counted: the rest of an opening takes as long."""

SHARE: Final = 0.05
"""Seconds of computing that a principal may have each second."""

AT_ONCE: Final = 0.25
"""Seconds that it may have at once, after a pause."""

MOST: Final = 10_000
"""Principals that are remembered. Of more, those that were counted first are forgotten."""


class DecisionTime:
    """That of one worker. Principals are told apart by `Principal.maker_id`."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.thread_time,
    ) -> None:
        """`clock` gives seconds; `computed` those that this thread has computed for."""
        self._clock = clock
        self._computed = computed
        # What each has had beyond its share, and when that was so.
        self._had: dict[str, tuple[float, float]] = {}

    def wait(self, maker_id: str) -> float:
        """Seconds until something of this principal may be decided on: mostly none."""
        had = self._had.get(maker_id)
        if had is None:
            return 0.0
        left = self._left(*had)
        if not left:
            del self._had[maker_id]
        return max(0.0, (left - AT_ONCE) / SHARE)

    @contextmanager
    def measured(self, maker_id: str) -> Iterator[None]:
        """The context of a decision."""
        began = self._computed()
        try:
            yield
        finally:
            took = self._computed() - began
            if took > ORDINARY:
                self._count(maker_id, took)

    def _count(self, maker_id: str, seconds: float) -> None:
        had = self._had.pop(maker_id, None)
        self._had[maker_id] = (0.0 if had is None else self._left(*had)) + seconds, self._clock()
        if len(self._had) > MOST:
            del self._had[next(iter(self._had))]

    def _left(self, seconds: float, at: float) -> float:
        return max(0.0, seconds - (self._clock() - at) * SHARE)
