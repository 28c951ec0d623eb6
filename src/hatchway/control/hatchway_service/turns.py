"""Work that takes long of the processor that all calls have: one call at a time does it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from hatchway.control.concurrency import TooManyCalls


class Turns:
    """Turns at one kind of work. Thread-safe.

    Attributes:
        longest_wait: seconds for which a call waits for its own.
    """

    def __init__(self, work: str, *, most_waiting: int, longest_wait: float) -> None:
        """
        Args:
            work: what calls do, as in "Too many calls export a whole account".
            most_waiting: how many calls may wait: each holds a connection to the store.
        """
        self._message = f"Too many calls {work} at once. Try again."
        self._turn = Lock()
        self._places = BoundedSemaphore(most_waiting)
        self.longest_wait = longest_wait

    @contextmanager
    def one(self) -> Iterator[None]:
        """Within, no other call is at that work.

        Raises:
            TooManyCalls: too many others want a turn.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyCalls(self._message)
        try:
            has_turn = self._turn.acquire(timeout=self.longest_wait)
        finally:
            self._places.release()
        if not has_turn:
            raise TooManyCalls(self._message)
        try:
            yield
        finally:
            self._turn.release()
