"""Tasks, and the thread that runs each when it is due."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import Final

import structlog

from hatchway.store import (
    LeadershipLost,
    ServesNoMore,
    log_fields,
)

LONGEST_RETRY: Final = 5.0
"""Seconds after which a task that failed is tried again, if it is not due sooner."""
SHORTEST_RETRY: Final = 1.0
"""Seconds before which a task that failed is not tried again."""
SAID_AGAIN: Final = 60.0
"""Seconds after which the log has another line of a task that goes on failing for the same reason."""
OTHERS_LOOK: Final = 0.25
"""Seconds after which to look again at a task that another control plane does."""

log = structlog.get_logger("hatchway.control.housekeeping")


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do every so many seconds, while it `is_ours`."""

    name: str
    every: float
    run: Callable[[], object]
    is_ours: Callable[[], bool] = lambda: True


class Housekeeper:
    """Runs every task once, then when it is due, in a thread of its own.

    One that fails is logged, and tried again soon. One that is another's is looked at again soon.
    """

    def __init__(self, due: tuple[Task, ...], monotonic: Callable[[], float]) -> None:
        self._tasks = due
        self._monotonic = monotonic
        self._next_at: dict[Task, float] = {}
        self._said: dict[Task, tuple[str, float]] = {}
        """Why those fail that do, and when that is said again."""
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self, *, wait: bool = True) -> None:
        """Returns when each task has run once, unless it is not to `wait`: gateways find today's signing keys
        from the start."""
        for task in self._tasks:
            if wait:
                self._run_one(task)
            else:
                self._next_at[task] = self._monotonic()
        self._thread.start()

    def stop(self, *, finish: bool = False) -> None:
        """Stops it, once the running task is done. With `finish`, each runs once more."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if finish:
            for task in self._tasks:
                self._run_one(task)

    def _run(self) -> None:
        while not self._stopping.is_set():
            now = self._monotonic()
            for task in self._tasks:
                if self._next_at[task] <= now and not self._stopping.is_set():
                    self._run_one(task)
            soonest = min(self._next_at.values(), default=None)
            self._stopping.wait(None if soonest is None else max(0.0, soonest - self._monotonic()))

    def _run_one(self, task: Task) -> None:
        began = self._monotonic()
        if not task.is_ours():
            self._next_at[task] = began + min(task.every, OTHERS_LOOK)
            return
        try:
            task.run()
        except LeadershipLost:
            self._next_at[task] = began + OTHERS_LOOK
        except ServesNoMore:
            # Which has its own line.
            self._next_at[task] = began + task.every
        except Exception as problem:
            self._say(task, problem)
            self._next_at[task] = self._monotonic() + max(SHORTEST_RETRY, min(task.every, LONGEST_RETRY))
        else:
            self._said.pop(task, None)
            self._next_at[task] = began + task.every

    def _say(self, task: Task, problem: Exception) -> None:
        now, fields = self._monotonic(), log_fields(problem)
        why = str(fields.get("problem") or repr(problem))
        said, again_at = self._said.get(task, ("", now))
        if why != said or now >= again_at:
            self._said[task] = why, now + SAID_AGAIN
            log.error("housekeeping failed", task=task.name, **fields)
