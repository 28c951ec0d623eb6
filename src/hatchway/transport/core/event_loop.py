"""An event loop that waits by the core's poller: what that carries by itself wakes nothing of Python's.

asyncio's own loop, whose selector is the poller. uvloop would wait by an epoll of its own, and be woken each
time.
"""

from __future__ import annotations

import asyncio
import math
import select
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector, SelectorKey
from typing import TYPE_CHECKING, Any

from hatchway.transport.core.loading import CORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import FileDescriptorLike

    from hatchway.transport.core._core import Poller

_NOT_WRITABLE = ~select.EPOLLOUT
_NOT_READABLE = ~select.EPOLLIN


def new_event_loop() -> CoreLoop:
    """The core must be there."""
    assert CORE is not None
    return CoreLoop(CORE.Poller())


class CoreLoop(asyncio.SelectorEventLoop):
    """
    Attributes:
        poller: what it waits by. Others may watch descriptors by it too: see `tell_others_to`.
        selector: the same as asyncio has it, for the descriptors that are its own.
    """

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.selector = _Selector(poller)
        super().__init__(self.selector)

    def tell_others_to(self, tell: Callable[[list[tuple[int, int]]], None]) -> None:
        """Call this with the descriptors and events that are none of the loop's own."""
        self.selector.tell = tell


class _Selector(BaseSelector):
    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        self._keys: dict[int, SelectorKey] = {}
        self._by_file: dict[FileDescriptorLike, SelectorKey] = {}
        self.tell: Callable[[list[tuple[int, int]]], None] = _nobody

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
        ready, others = [], []
        for descriptor, events in self._poller.poll(milliseconds):
            key = self._keys.get(descriptor)
            if key is None:
                others.append((descriptor, events))
                continue
            mask = (EVENT_READ if events & _NOT_WRITABLE else 0) | (
                EVENT_WRITE if events & _NOT_READABLE else 0
            )
            ready.append((key, mask & key.events))
        if others:
            self.tell(others)
        return ready

    def get_map(self) -> Mapping[FileDescriptorLike, SelectorKey]:
        return self._by_file


def _epoll_events(events: int) -> int:
    return (select.EPOLLIN if events & EVENT_READ else 0) | (select.EPOLLOUT if events & EVENT_WRITE else 0)


def _nobody(_others: list[tuple[int, int]]) -> None:
    """Before anybody else watches."""
