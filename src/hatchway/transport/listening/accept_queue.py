"""The queue of connections from unknown sources while many arrive at once. It is fair between networks.

An IPv6 /48 contains 65,536 sources, and an IPv4 /24 contains 256. So the queue is served round robin by
prefix: first the largest networks take turns, then those within each, and so on down to the sources. A source
that is alone in its network gets as many turns as any other network as a whole.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from hatchway.transport.listening.sources import prefixes_of

if TYPE_CHECKING:
    from hatchway.transport.listening.sources import Source

CAPACITY: Final = 500
"""Connections that may be queued at once. Each costs a file descriptor, and no time of the event loop."""

QUEUE_TIMEOUT: Final = 10.0
"""Seconds that a connection may be queued."""


Entry = TypeVar("Entry")


class _Queue(Generic[Entry]):
    """The queue of one network: a queue for each network within it or, for a source, the entries."""

    __slots__ = ("entries", "waiting", "within")

    def __init__(self) -> None:
        self.waiting = 0
        # The network whose turn it is comes first.
        self.within: dict[Source, _Queue[Entry]] = {}
        self.entries = deque[Entry]()

    def add(self, path: tuple[Source, ...], entry: Entry) -> None:
        queue = self
        queue.waiting += 1
        for prefix in path:
            queue = queue.within.setdefault(prefix, _Queue())
            queue.waiting += 1
        queue.entries.append(entry)

    def next(self) -> Entry:
        """Take the entry whose turn it is; its networks go to the end of their rounds."""
        self.waiting -= 1
        if not self.within:
            return self.entries.popleft()
        prefix = next(iter(self.within))
        queue = self.within.pop(prefix)
        entry = queue.next()
        if queue.waiting:
            self.within[prefix] = queue
        return entry

    def last(self) -> Entry:
        """Take the last entry of the longest queue at each level."""
        self.waiting -= 1
        if not self.within:
            return self.entries.pop()
        prefix, queue = self._longest()
        entry = queue.last()
        if not queue.waiting:
            del self.within[prefix]
        return entry

    def has_more_than_its_share(self, path: tuple[Source, ...]) -> bool:
        """Whether `last` would take from a network that has more entries than this path's network would have
        with one more."""
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

    def _longest(self) -> tuple[Source, _Queue[Entry]]:
        return max(self.within.items(), key=lambda item: item[1].waiting)


class AcceptQueue(Generic[Entry]):
    """A bounded queue that is fair between networks."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._queue = _Queue[Entry]()

    def __len__(self) -> int:
        return self._queue.waiting

    def add(self, source: Source, entry: Entry, *, full: bool = False) -> Entry | None:
        """Queue an entry. Returns the entry for which there is no room, this one or another; None if there is
        room.

        A full queue takes an entry whose network has fewer entries than another network, and evicts the last
        entry of that other. `full` makes the queue count as full, however many entries it has.
        """
        path = prefixes_of(source)
        evicted = None
        if full or self._queue.waiting >= self._capacity:
            if not self._queue.has_more_than_its_share(path):
                return entry
            evicted = self._queue.last()
        self._queue.add(path, entry)
        return evicted

    def next(self) -> Entry:
        """Take the entry whose turn it is.

        Raises:
            IndexError: the queue is empty.
        """
        if not self._queue.waiting:
            raise IndexError("the queue is empty")
        return self._queue.next()
