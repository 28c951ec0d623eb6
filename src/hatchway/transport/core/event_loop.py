"""An event loop that waits with the core's poller: what the poller carries by itself does not wake Python.

It is asyncio's own loop with the poller as its selector. uvloop would wait with an epoll of its own and be
woken each time. The calls that it makes, about twenty for a tunnel, use the core's handles: asyncio's, in
Python, take several times as long.
"""

from __future__ import annotations

import asyncio
import math
import select
from contextlib import suppress
from heapq import heapify
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVarTuple

from hatchway.transport.core.loading import CORE

if TYPE_CHECKING:
    import socket
    from collections import deque
    from collections.abc import Callable, Mapping
    from contextvars import Context

    from _typeshed import FileDescriptorLike

    from hatchway.transport.core._core import Handle, Poller

_Given = TypeVarTuple("_Given")

_WAKES: Final = 4096
"""Bytes read at once; each is from somebody who wakes the loop."""
_NOT_WRITABLE = ~select.EPOLLOUT
_NOT_READABLE = ~select.EPOLLIN


def new_event_loop() -> CoreLoop:
    """The core must be loaded."""
    assert CORE is not None
    return CoreLoop(CORE.Poller())


class CoreLoop(asyncio.SelectorEventLoop):
    """Its turns, and the methods that schedule calls, are the core's too (loop.c).

    Attributes:
        poller: what it waits with. Others may watch descriptors with it too: see `on_other_events`.
        selector: the same in asyncio's form, for the loop's own descriptors.
    """

    # asyncio's own, as in CPython 3.11 to 3.14.
    _ready: deque[Any]
    _scheduled: list[Any]
    _timer_cancelled_count: int
    _run_once: Callable[[], None]
    _process_events: Callable[[list[tuple[SelectorKey, int]]], None]
    _ssock: socket.socket
    _process_self_data: Callable[[bytes], None]

    def __init__(self, poller: Poller) -> None:
        assert CORE is not None
        self.poller = poller
        self.selector = _Selector(poller)
        self._handle = CORE.handle
        super().__init__(self.selector)

    def on_other_events(self, callback: Callable[[list[tuple[int, int]]], None]) -> None:
        """Call this with the descriptors and events that are not the loop's own."""
        self.selector.on_other_events = callback

    time = staticmethod(monotonic)

    if TYPE_CHECKING:  # They are the core's.

        def call_later(
            self,
            delay: float,
            callback: Callable[[*_Given], object],
            *args: *_Given,
            context: Context | None = None,
        ) -> Any: ...
        def call_at(
            self,
            when: float,
            callback: Callable[[*_Given], object],
            *args: *_Given,
            context: Context | None = None,
        ) -> Any: ...

    def take_events(self, events: list[tuple[int, int]]) -> None:
        """The poller reports these descriptors and events."""
        self._process_events(self.selector.sorted(events))

    def clear_timers(self) -> None:
        """Many timers are cancelled: keep only the others."""
        kept = []
        for handle in self._scheduled:
            if handle.cancelled():
                handle._scheduled = False
            else:
                kept.append(handle)
        heapify(kept)
        self._scheduled = kept
        self._timer_cancelled_count = 0

    def run_watched(self) -> None:
        """One turn of asyncio's own kind, which measures how long each call takes."""
        super()._run_once()  # type: ignore[misc]

    def _call_soon(self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None) -> Any:
        handle = self._handle(self, callback, args, context, None)
        self._ready.append(handle)
        return handle

    def _read_from_self(self) -> None:
        """Read what others wake the loop with. One read suffices: the poller reports again what is left
        (epoll(7))."""
        try:
            data = self._ssock.recv(_WAKES)
        except (BlockingIOError, InterruptedError):
            return
        self._process_self_data(data)

    def failed(self, handle: Handle, callback: Callable[..., Any], problem: BaseException) -> None:
        """A scheduled call has raised."""
        message = f"Exception in callback {callback!r}"
        self.call_exception_handler({"message": message, "exception": problem, "handle": handle})


if CORE is not None:
    CORE.complete(CoreLoop)


class _Selector(BaseSelector):
    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._keys: dict[int, SelectorKey] = {}
        self._by_file: dict[FileDescriptorLike, SelectorKey] = {}
        self.on_other_events: Callable[[list[tuple[int, int]]], None] = _ignore

    def register(self, fileobj: FileDescriptorLike, events: int, data: Any = None) -> SelectorKey:
        descriptor = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if descriptor in self._keys:
            raise KeyError(f"{fileobj!r} is registered already")
        self._poller.register(descriptor, _epoll_events(events))
        key = self._keys[descriptor] = self._by_file[fileobj] = SelectorKey(fileobj, descriptor, events, data)
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> SelectorKey:
        key = self._by_file.pop(fileobj)
        del self._keys[key.fd]
        # It may have been closed before, which the kernel knows.
        with suppress(OSError):
            self._poller.unregister(key.fd)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        milliseconds = -1 if timeout is None else math.ceil(timeout * 1000) if timeout > 0 else 0
        return self.sorted(self._poller.poll(milliseconds))

    def sorted(self, events: list[tuple[int, int]]) -> list[tuple[SelectorKey, int]]:
        """The events for asyncio's own descriptors. Others are notified of the rest."""
        ready, others = [], []
        for descriptor, mask in events:
            key = self._keys.get(descriptor)
            if key is None:
                others.append((descriptor, mask))
                continue
            wanted = (EVENT_READ if mask & _NOT_WRITABLE else 0) | (
                EVENT_WRITE if mask & _NOT_READABLE else 0
            )
            ready.append((key, wanted & key.events))
        if others:
            self.on_other_events(others)
        return ready

    def get_map(self) -> Mapping[FileDescriptorLike, SelectorKey]:
        return self._by_file


def _epoll_events(events: int) -> int:
    return (select.EPOLLIN if events & EVENT_READ else 0) | (select.EPOLLOUT if events & EVENT_WRITE else 0)


def _ignore(_others: list[tuple[int, int]]) -> None:
    """Before anybody else watches."""
