"""Limits how much of a worker's time decisions on each principal's requests take: a leaky bucket of seconds.

A worker decides on its event loop, one request after the other. How long a decision takes depends on
policies: most take a tenth of a millisecond; some hundred conditions full of wildcards take fifty times that.
A principal whose decisions take long may have some of them at once, and after that its share of the time.
Decisions for other principals never wait for it.

What counts is CPU time, not elapsed time: nobody is to blame for a busy machine.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hatchway.domain.leaky_bucket import LeakyBuckets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOT_COUNTED: Final = 0.001
"""Seconds that a decision may take without being counted: the rest of an opening takes as long."""

SHARE: Final = 0.05
"""Seconds of CPU that a principal may use each second."""

BURST: Final = 0.25
"""Seconds of CPU that it may use at once, after a pause."""

MAX_PRINCIPALS: Final = 10_000
"""Principals that are remembered. Beyond that, those that were counted first are forgotten."""


class DecisionTime:
    """The decision time of one worker. A principal is identified by `Principal.maker_id`."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.thread_time,
    ) -> None:
        """`clock` gives seconds; `computed` gives seconds of CPU that this thread has used."""
        self._clock = clock
        self._computed = computed
        self._used = LeakyBuckets(SHARE, MAX_PRINCIPALS)

    def wait(self, maker_id: str) -> float:
        """Seconds until a request of this principal may be decided on: mostly none."""
        if maker_id not in self._used.levels:
            return 0.0
        return max(0.0, (self._used.level(maker_id, self._clock()) - BURST) / SHARE)

    @contextmanager
    def measured(self, maker_id: str) -> Iterator[None]:
        """The context of a decision."""
        began = self._computed()
        try:
            yield
        finally:
            took = self._computed() - began
            if took > NOT_COUNTED:
                self._used.add(maker_id, took, self._clock())
