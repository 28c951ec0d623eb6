"""Readiness: which sockets can be read or written, and in which order they are served.

The event loop watches one epoll (epoll(7)), which watches the sockets of all connections. So a socket costs a
dictionary entry, and its notification costs one call.

A watcher that is notified does a little work and returns. If it has more to do it asks for another turn,
which it gets once all watchers with new events have been notified. So a connection with little to do waits
for at most one turn of a busy one, however many busy ones there are. Clients that are not trusted yet come
last: a TLS handshake costs as much as hundreds of frames, so one of them gets a turn when the trusted ones
have had theirs.
"""

from __future__ import annotations

import select
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from hatchway.transport.connection.allowance import SharedAllowance
from hatchway.transport.core.event_loop import CoreLoop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from hatchway.transport.core._core import Poller

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT
BROKEN: Final = select.EPOLLERR | select.EPOLLHUP
"""Reported for every watched socket, requested or not (epoll_ctl(2))."""

_MAX_EVENTS: Final = 256

MAX_ROUND: Final = 0.001
"""Seconds of notifications and turns after which the event loop runs its timers and tasks."""


class Watcher(Protocol):
    """It is notified of a socket's events."""

    @property
    def is_untrusted(self) -> bool:
        """Whether it comes after all others, because its client has not sent a request yet."""

    def happened(self, events: int) -> None:
        """The socket is readable, writable or broken, or was: there may be nothing to do."""

    def abort(self) -> None:
        """`happened` or `have_turn` has raised."""


class Turns(Watcher, Protocol):
    """A watcher that may have more to do than there is time for at once."""

    def have_turn(self) -> None:
        """Go on for a little while. There may be nothing to do any more."""


class Readiness:
    """Watches sockets, by their file descriptors.

    Attributes:
        shared: the allowance that all connections share.
        poller: the core's poller, which carries what needs no Python and returns the rest; None without the
            core.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.shared = SharedAllowance(monotonic())
        self.poller: Poller | None = None
        self._epoll: select.epoll | Poller
        self._watchers: dict[int, Watcher] = {}
        self._ready = deque[tuple[int, int]]()
        self._turns = deque[Turns]()
        # Watches the untrusted clients and is watched like a socket: however many of them wait for their
        # turn, that is one event. It returns them in the order in which they became ready.
        self._untrusted = select.epoll()
        self._untrusted_wait = False
        self._scheduled = False
        if isinstance(loop, CoreLoop):
            self.poller = loop.poller
            self._poll_now: Callable[[], list[tuple[int, int]]] = partial(loop.poller.poll, 0)
            self._epoll = loop.poller
            self._poll_untrusted: Callable[[], list[tuple[int, int]]] = loop.poller.greet
            loop.poller.greet_by(self._untrusted.fileno())
            loop.on_other_events(self._serve_now)
        else:
            epoll = self._epoll = select.epoll()
            self._poll_now = partial(epoll.poll, 0, _MAX_EVENTS)
            self._poll_untrusted = partial(self._untrusted.poll, 0, 1)
            loop.add_reader(self._epoll.fileno(), self._poll)
        self._epoll.register(self._untrusted.fileno(), READABLE)

    def watch(self, descriptor: int, events: int, watcher: Watcher) -> None:
        """Start to watch for these events. A watcher that is untrusted now stays so for as long as it is
        watched."""
        self._epoll_of(watcher).register(descriptor, events)
        self._watchers[descriptor] = watcher

    def change(self, descriptor: int, events: int) -> None:
        """Watch for these events from now on."""
        self._epoll_of(self._watchers[descriptor]).modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Stop watching."""
        self._epoll_of(self._watchers.pop(descriptor)).unregister(descriptor)

    def closes(self, descriptor: int) -> None:
        """Stop watching a descriptor that is closed at once: epolls forget those by themselves (epoll(7))."""
        del self._watchers[descriptor]

    def _epoll_of(self, watcher: Watcher) -> select.epoll | Poller:
        return self._untrusted if watcher.is_untrusted else self._epoll

    def later(self, watcher: Turns) -> None:
        """Give it another turn when others have had theirs."""
        self._turns.append(watcher)
        self._schedule()

    def _serve_now(self, ready: list[tuple[int, int]]) -> None:
        """The loop has waited for these sockets: serve them before it makes its calls.

        So it makes the calls that result from them at once, and not after another poll.
        """
        if self._ready:
            ready = _once_each([*self._ready, *ready])
            self._ready.clear()
        self._ready.extend(ready)
        if self._scheduled:
            return
        try:
            self._poll()
        except Exception as problem:
            # Nothing else would catch it here.
            self.loop.call_exception_handler({"message": "sockets were not served", "exception": problem})

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._poll_again)

    def _poll_again(self) -> None:
        self._scheduled = False
        self._poll()

    def _poll(self) -> None:
        ready, later = self._ready, self._turns
        until = monotonic() + MAX_ROUND
        while True:
            if not ready:
                ready.extend(self._poll_now())
            while ready:
                descriptor, events = ready.popleft()
                # A watcher that was notified before this one may have ended it.
                watcher = self._watchers.get(descriptor)
                if watcher is not None:
                    self._notify(watcher, events)
                    if monotonic() > until:
                        break
                elif descriptor == self._untrusted.fileno():
                    self._untrusted_wait = True
            if later:
                waiting = later.popleft()
                try:
                    waiting.have_turn()
                except Exception as problem:
                    self._failed(waiting, problem)
            if self._untrusted_wait and not ready:
                self._untrusted_wait = False
                for descriptor, events in self._poll_untrusted():
                    # An epoll does not forget a descriptor that is closed here but still open in a forked
                    # process.
                    watcher = self._watchers.get(descriptor)
                    if watcher is not None:
                        self._notify(watcher, events)
                # A task serves the client's request, which counts as part of the turn. The next poll reports
                # the others that wait.
                break
            if not later or monotonic() > until:
                break
        if ready or later or self._untrusted_wait:
            self._schedule()

    def _notify(self, watcher: Watcher, events: int) -> None:
        try:
            watcher.happened(events)
        except Exception as problem:
            self._failed(watcher, problem)

    def _failed(self, watcher: Watcher, problem: Exception) -> None:
        watcher.abort()
        self.loop.call_exception_handler({"message": "a connection had to be dropped", "exception": problem})


def _once_each(ready: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Each descriptor once, where it comes first, with all its events. A watcher that waits for its turn is
    reported at each poll, so the queue would otherwise grow as long as there is more to serve than there is
    time."""
    events: dict[int, int] = {}
    for descriptor, event in ready:
        events[descriptor] = events.get(descriptor, 0) | event
    return list(events.items())
