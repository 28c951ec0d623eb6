"""Newcomers waiting for their turn while many come at once: fair between sources, whoever came first."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from hatchway.transport.sources import Source

PLACES: Final = 500
"""Connections that may wait at once. Each costs a file descriptor, and none of the event loop's time."""

PATIENCE: Final = 10.0
"""Seconds that one may wait."""


Waiter = TypeVar("Waiter")


class WaitingRoom(Generic[Waiter]):
    """One queue for each source; the sources take turns."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        # The source whose turn it is comes first.
        self._queues: dict[Source, deque[Waiter]] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def add(self, source: Source, waiter: Waiter) -> Waiter | None:
        """Let one wait. Gives the one for whom there is no place then, be it this one or another.

        The places are shared evenly among the sources, those included from which one may still come: a full
        room has a place for the first of a source, at the cost of the last of the one that has most.
        """
        queue = self._queues.get(source)
        if queue is not None and len(queue) >= self._places // (len(self._queues) + 1):
            return waiter
        displaced = None
        if self._waiting >= self._places:
            longest = max(self._queues.values(), key=len)
            if len(longest) < 2:
                return waiter
            displaced = longest.pop()
            self._waiting -= 1
        if queue is None:
            queue = self._queues[source] = deque()
        queue.append(waiter)
        self._waiting += 1
        return displaced

    def next(self) -> Waiter:
        """The one whose turn it is, which waits no more.

        Raises:
            IndexError: nobody waits.
        """
        source = next(iter(self._queues), None)
        if source is None:
            raise IndexError("nobody waits")
        queue = self._queues.pop(source)
        waiter = queue.popleft()
        if queue:
            self._queues[source] = queue
        self._waiting -= 1
        return waiter
