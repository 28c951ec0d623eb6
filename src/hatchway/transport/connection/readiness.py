"""Which sockets have something to read, or room to write.

The event loop watches one epoll (epoll(7)), which watches the sockets of all tunnels. A socket in it costs a
dictionary entry, and to be told is one call.

Whoever is told does a little and returns. If there is more for him to do he asks for another turn, which he
gets when all those have been told who had nothing to do before. So who has little to do waits for a turn of
one who has much to do, however many of those there are. Likewise for strangers: a TLS handshake costs as much
as hundreds of frames, so one of them has its turn when all those have been told who have shown who they are.
"""

from __future__ import annotations

import select
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from hatchway.transport.connection.allowance import Common

if TYPE_CHECKING:
    import asyncio

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
"""Told of any socket that is watched, asked for or not."""

_MOST_AT_ONCE: Final = 256

LOOK: Final = 0.001
"""Seconds of telling and of further turns after which the event loop sees to its timers and tasks."""


class Watcher(Protocol):
    """Who is told of a socket."""

    @property
    def is_stranger(self) -> bool:
        """Whether it waits for others, as it has not shown yet who it is."""

    def happened(self, events: int) -> None:
        """It is readable, writable or broken. It may be none of this any more, so a call may find nothing."""

    def abort(self) -> None:
        """`happened` or `have_turn` has raised."""


class Turns(Watcher, Protocol):
    """Who may have more to do than there is time for."""

    def have_turn(self) -> None:
        """Go on, for a little while. It may have nothing to do any more."""


class Readiness:
    """Watches sockets, by their file descriptors.

    Attributes:
        common: what those who are told may use together.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.common = Common(monotonic())
        self._epoll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        self._told = deque[tuple[int, int]]()
        self._later = deque[Turns]()
        # In the order in which they were told; they are told again at each poll.
        self._strangers: dict[int, int] = {}
        self._looking = False
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

    def later(self, watcher: Turns) -> None:
        """Let it have another turn when others have had theirs."""
        self._later.append(watcher)
        self._look_again()

    def _look_again(self) -> None:
        if not self._looking:
            self._looking = True
            self.loop.call_soon(self._look_once_more)

    def _look_once_more(self) -> None:
        self._looking = False
        self._look()

    def _look(self) -> None:
        told, later, strangers = self._told, self._later, self._strangers
        until = monotonic() + LOOK
        while True:
            if not told:
                told.extend(self._epoll.poll(0, _MOST_AT_ONCE))
            while told:
                descriptor, events = told.popleft()
                # One that was told of before this one may have ended it.
                watcher = self._watchers.get(descriptor)
                if watcher is None:
                    continue
                if watcher.is_stranger:
                    strangers[descriptor] = events
                    continue
                self._tell(watcher, events)
                if monotonic() > until:
                    break
            if later:
                patient = later.popleft()
                try:
                    patient.have_turn()
                except Exception as problem:
                    self._failed(patient, problem)
            if strangers and not told:
                descriptor = next(iter(strangers))
                watcher = self._watchers.get(descriptor)
                events = strangers.pop(descriptor)
                if watcher is not None:
                    self._tell(watcher, events)
                    # What it asked for is seen to by a task, which is to be no burden either.
                    break
            if not (later or strangers) or monotonic() > until:
                break
        if told or later or strangers:
            self._look_again()

    def _tell(self, watcher: Watcher, events: int) -> None:
        try:
            watcher.happened(events)
        except Exception as problem:
            self._failed(watcher, problem)

    def _failed(self, watcher: Watcher, problem: Exception) -> None:
        watcher.abort()
        self.loop.call_exception_handler({"message": "a connection had to be dropped", "exception": problem})
