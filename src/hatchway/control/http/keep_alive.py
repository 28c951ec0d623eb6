"""The connections of authenticated callers: bounded, for each source and for all."""

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from hatchway.control.http.protocol import ClientConnection

if TYPE_CHECKING:
    from hatchway.transport.listening.sources import Source

MOST_OF_A_SOURCE: Final = 250
"""An AWS client keeps up to ten open, each for the time of `KEEP_ALIVE_SECONDS` after its last call."""


class KeptAliveConnections:
    """When there is no room, a new one replaces the one that has been idle for longest.

    That is one of the same source if the source has its full share, else of the source that has most.
    """

    def __init__(self, most: int, most_of_a_source: int = MOST_OF_A_SOURCE) -> None:
        self._most = most
        self._most_of_a_source = most_of_a_source
        self._of: defaultdict[Source, set[ClientConnection]] = defaultdict(set)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: ClientConnection) -> bool:
        """Whether there is room for one more."""
        own = self._of[connection.source]
        if len(own) >= self._most_of_a_source:
            if not self._close_one(own):
                return False
        elif self._count >= self._most and not self._close_one(max(self._of.values(), key=len)):
            return False
        own.add(connection)
        self._count += 1
        return True

    def discard(self, connection: ClientConnection) -> None:
        """It is gone."""
        own = self._of.get(connection.source)
        if own is None:
            return
        if connection in own:
            own.remove(connection)
            self._count -= 1
        if not own:
            del self._of[connection.source]

    def _close_one(self, connections: set[ClientConnection]) -> bool:
        idle = [(each.idle_since, id(each), each) for each in connections if each.idle_since is not None]
        if not idle:
            return False
        evicted = min(idle)[2]
        self.discard(evicted)
        evicted.transport.abort()
        return True
