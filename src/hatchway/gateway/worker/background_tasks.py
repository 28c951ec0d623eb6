"""The tasks that a worker runs beside its tunnels, and what happens if one of them ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

log = structlog.get_logger("hatchway.gateway")

TASK_ENDED: Final = -2
"""In place of a signal number: a background task has ended."""


class BackgroundTaskEnded(Exception):
    """A background task of a worker has ended although nothing told it to."""


class BackgroundTasks:
    """The background tasks of a worker, for as long as it runs.

    Without one of them, tunnels might stay open that are no longer allowed. So if one ends, all tunnels are
    closed at once, as after a second signal.
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
            BackgroundTaskEnded: one has ended by itself.
        """
        if self._ended is not None:
            raise BackgroundTaskEnded(self._ended.get_name()) from self._ended.exception()
