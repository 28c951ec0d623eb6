"""Which sockets have something to read, or room to write.

The event loop watches one epoll (epoll(7)), which watches the sockets of all tunnels. A socket in it costs a
dictionary entry, and to be told is one call.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
"""Told of any socket that is watched, asked for or not."""

_MOST_AT_ONCE: Final = 256


class Watcher(Protocol):
    """Who is told of a socket."""

    def happened(self, events: int) -> None:
        """It is readable, writable or broken. It may be none of this any more, so a call may find nothing."""

    def abort(self) -> None:
        """`happened` has raised."""


class Readiness:
    """Watches sockets, by their file descriptors."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._epoll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        loop.add_reader(self._epoll.fileno(), self._look)

    def watch(self, descriptor: int, events: int, watcher: Watcher) -> None:
        """Begin to watch for these events."""
        self._watchers[descriptor] = watcher
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Watch for these events from now on."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Watch it no longer; to be called before it is closed."""
        del self._watchers[descriptor]
        self._epoll.unregister(descriptor)

    def _look(self) -> None:
        for descriptor, events in self._epoll.poll(0, _MOST_AT_ONCE):
            # One that was told of before this one may have ended it.
            watcher = self._watchers.get(descriptor)
            if watcher is None:
                continue
            try:
                watcher.happened(events)
            except Exception as problem:
                watcher.abort()
                self.loop.call_exception_handler(
                    {"message": "a connection had to be dropped", "exception": problem}
                )
