"""What a worker does all the time besides its tunnels, and what becomes of it when one of that ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

log = structlog.get_logger("hatchway.gateway")

TASK_ENDED: Final = -2
"""Instead of a signal: something that this process always does has ended."""


class BackgroundTaskEnded(Exception):
    """Something that a worker always does has ended, though nothing told it to."""


class BackgroundTasks:
    """What a worker does besides its tunnels, as long as it is there.

    Without one of them, what may be open no more would stay open. So when one ends, the tunnels are closed at
    once, as by a second signal.
    """

    def __init__(self, work: Iterable[Coroutine[Any, Any, None]], stopping: asyncio.Queue[int]) -> None:
        self._stopping = stopping
        self._ended: asyncio.Task[None] | None = None
        self._tasks = [asyncio.create_task(each, name=getattr(each, "__qualname__", None)) for each in work]
        for task in self._tasks:
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        problem = task.exception()
        log.error("gateway cannot go on: a part of it has ended", part=task.get_name(), exc_info=problem)
        self._ended = self._ended or task
        for _ in range(2):
            self._stopping.put_nowait(TASK_ENDED)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    @property
    def has_ended(self) -> bool:
        return self._ended is not None

    def check(self) -> None:
        """
        Raises:
            PartEnded: one has ended by itself.
        """
        if self._ended is not None:
            raise BackgroundTaskEnded(self._ended.get_name()) from self._ended.exception()
