"""The time that one call may take from others while it goes through rows one by one.

Python runs one thread at a time. So a call that looks at many rows does so in short stretches, with pauses
as long as they are, one such call after another; and it gives up when it has taken too much.
"""

import time
from threading import BoundedSemaphore, Lock
from types import TracebackType
from typing import Final, Self

from hatchway.protocol import ServiceError

FREE: Final = 0.02
"""Seconds of computing that any call may take; those that need more go one at a time."""
SLICE: Final = 0.005
"""Seconds of computing between two pauses."""
MOST: Final = 1.0
"""Seconds of computing after which a call is refused."""
MOST_WAITING: Final = 4
LONGEST_WAIT: Final = 5.0
"""How many calls wait for their turn, and for how many seconds: each holds a connection to the store."""

_turn: Final = Lock()
_places: Final = BoundedSemaphore(MOST_WAITING)


class WorkBudget:
    """The computing of one call, as a context; `spend` is to be called often."""

    def __init__(self) -> None:
        self._began = self._paused_at = time.thread_time()
        self._has_turn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._has_turn:
            _turn.release()

    def spend(self) -> None:
        """Returns when the call may go on.

        Raises:
            ServiceError: it has taken too much, or too many others want a turn.
        """
        now = time.thread_time()
        spent = now - self._began
        if spent > MOST:
            raise too_costly()
        if spent > FREE:
            self.take_turn()
        if self._has_turn and now - self._paused_at > SLICE:
            time.sleep(SLICE)
            self._paused_at = time.thread_time()

    def take_turn(self) -> None:
        """Returns when no other call is at it, and keeps it so until the end.

        Raises:
            ServiceError: too many others want a turn.
        """
        if self._has_turn:
            return
        busy = ServiceError("RequestLimitExceeded", "Too many calls filter at once: try again.", status=503)
        if not _places.acquire(blocking=False):
            raise busy
        try:
            self._has_turn = _turn.acquire(timeout=LONGEST_WAIT)
        finally:
            _places.release()
        if not self._has_turn:
            raise busy


def too_costly() -> ServiceError:
    """The error for a call whose filters take more than a call may."""
    return ServiceError(
        "FilterLimitExceeded",
        "The filters take too long to match: give fewer values, fewer wildcards, or ids.",
    )
