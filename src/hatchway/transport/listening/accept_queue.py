"""Newcomers waiting for their turn while many come at once: fair between networks, whoever came first.

One who has an IPv6 /48 has 65,536 sources in it, and 256 one who has an IPv4 /24. So turns are taken by
prefix: first the largest networks take turns, then those within each, and so on down to the sources
themselves. Whoever is alone in a network has its turn beside all that come from any other one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from hatchway.transport.listening.sources import prefixes_of

if TYPE_CHECKING:
    from hatchway.transport.listening.sources import Source

PLACES: Final = 500
"""Connections that may wait at once. Each costs a file descriptor, and none of the event loop's time."""

PATIENCE: Final = 10.0
"""Seconds that one may wait."""


Waiter = TypeVar("Waiter")


class _Queue(Generic[Waiter]):
    """Those who wait in one network: a queue for each network within it, or, of a source, the waiters."""

    __slots__ = ("waiters", "waiting", "within")

    def __init__(self) -> None:
        self.waiting = 0
        # The network whose turn it is comes first.
        self.within: dict[Source, _Queue[Waiter]] = {}
        self.waiters = deque[Waiter]()

    def add(self, path: tuple[Source, ...], waiter: Waiter) -> None:
        queue = self
        queue.waiting += 1
        for prefix in path:
            queue = queue.within.setdefault(prefix, _Queue())
            queue.waiting += 1
        queue.waiters.append(waiter)

    def next(self) -> Waiter:
        """The one whose turn it is, which is at the end of all turns then."""
        self.waiting -= 1
        if not self.within:
            return self.waiters.popleft()
        prefix = next(iter(self.within))
        queue = self.within.pop(prefix)
        waiter = queue.next()
        if queue.waiting:
            self.within[prefix] = queue
        return waiter

    def last(self) -> Waiter:
        """The last one of those that have most, at each level."""
        self.waiting -= 1
        if not self.within:
            return self.waiters.pop()
        prefix, queue = self._longest()
        waiter = queue.last()
        if not queue.waiting:
            del self.within[prefix]
        return waiter

    def has_more_than_its_share(self, path: tuple[Source, ...]) -> bool:
        """Whether one more of this path has less of the places than the one that `last` would give up."""
        queue = self
        for prefix in path:
            if not queue.within:
                return False
            longest_prefix, longest = queue._longest()
            if longest_prefix != prefix:
                own = queue.within.get(prefix)
                return longest.waiting > 1 + (own.waiting if own is not None else 0)
            queue = longest
        return False

    def _longest(self) -> tuple[Source, _Queue[Waiter]]:
        return max(self.within.items(), key=lambda item: item[1].waiting)


class WaitingRoom(Generic[Waiter]):
    """So many places, for which networks take turns."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = places
        self._queue = _Queue[Waiter]()

    def __len__(self) -> int:
        return self._queue.waiting

    def add(self, source: Source, waiter: Waiter, *, full: bool = False) -> Waiter | None:
        """Let one wait. Gives the one for whom there is no place then, be it this one or another.

        A full room has a place for one whose network has fewer than another, at the cost of the last of that.
        `full` is whether it counts as that, however many wait.
        """
        path = prefixes_of(source)
        displaced = None
        if full or self._queue.waiting >= self._places:
            if not self._queue.has_more_than_its_share(path):
                return waiter
            displaced = self._queue.last()
        self._queue.add(path, waiter)
        return displaced

    def next(self) -> Waiter:
        """The one whose turn it is, which waits no more.

        Raises:
            IndexError: nobody waits.
        """
        if not self._queue.waiting:
            raise IndexError("nobody waits")
        return self._queue.next()
