"""A guard against jumps of the clock: whether what deletes may believe it, for that cannot be undone."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

JUMP: Final = timedelta(hours=1)
"""What a clock is set forward by that was right, at most."""
QUIET: Final = timedelta(days=1)
"""How old the newest event may be when a process begins."""
HELD: Final = timedelta(days=1)
"""How long a clock that seems to have jumped is not believed. Whoever runs the server has noticed by then: no
client whose clock is right is heard."""

log = structlog.get_logger("hatchway.audit")


class JumpGuardedClock:
    """One clock, against the process's monotonic one, which cannot be set."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._began: datetime | None = None
        self._held_until: float | None = None

    def now(self, newest: Callable[[], datetime | None]) -> datetime | None:
        """The time; None while it is not believed.

        Args:
            newest: the time of the newest event there is, by which a clock is judged the first time.
        """
        at, now = self._monotonic(), self._clock()
        began = now - timedelta(seconds=at)
        if self._began is None:
            last = newest()
            if last is not None and now - last > QUIET:
                self._hold(at, now - last, "the newest event is that old, or the clock is ahead by so much")
        elif began - self._began > JUMP:
            self._hold(at, began - self._began, "the clock went forward by so much all at once")
        elif self._began - began > JUMP:
            # It is put right, or is behind, by which nothing goes too early.
            self._held_until = None
        self._began = began
        if self._held_until is not None and at >= self._held_until:
            self._held_until = None
        return now if self._held_until is None else None

    def _hold(self, at: float, by: timedelta, seen: str) -> None:
        self._held_until = at + HELD.total_seconds()
        log.warning(
            "no old events are deleted for a day",
            seconds=round(by.total_seconds()),
            problem=f"{seen}. If the clock is right there is nothing to do, else set it within a day",
        )
