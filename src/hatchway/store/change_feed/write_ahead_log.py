"""When SQLite's write-ahead log has changed: each commit, of whichever process, is written to it first."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from hatchway.store.change_feed.inotify import Inotify
from hatchway.store.sqlite_file import Commits

if TYPE_CHECKING:
    from pathlib import Path

INTERVAL: Final = 0.1
"""Seconds between two times that somebody is told; and between two looks at the file where the system does
not tell of it."""

WATCHED_INTERVAL: Final = 0.5
"""Seconds between two looks at the file where the system tells of it: on some file systems it tells nothing
of what another machine has written."""

COMMIT_INTERVAL: Final = 0.01
"""Seconds after which a commit is mostly over that has been seen to begin."""

QUIET_INTERVAL: Final = 5.0
"""Seconds at most between two times that somebody is told although the file is as it was."""

_COARSE: Final = 0.05
"""Seconds within which a file may change twice and keep its time: the clock for files ticks slowly."""


class WriteAheadLog:
    """Of one database file. For one task; its owner closes it.

    What has been written can be read only when its commit is over, which may wait for the disk meanwhile. So
    after a change the log's index is asked again and again whether something was committed, each time after
    twice as long: what the disk held up is seen after as long as it took. Where the index does not tell, each
    time it is time to look.
    """

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: of the database.
        """
        self._path = path.with_name(f"{path.name}-wal")
        self._commits = Commits(str(path))
        self._committed: bytes | None = None
        self._state: tuple[int, int, int] | None = None
        self._pause = INTERVAL
        self._not_before = 0.0
        self._is_watched = False
        try:
            self._watch: Inotify | None = Inotify()
        except OSError:
            self._watch = None

    def close(self) -> None:
        self._commits.close()
        if self._watch is not None:
            self._watch.close()

    async def next(self) -> None:
        """Return when it is time to look."""
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - now())
        changed = await self._changed(self._pause)
        self._pause = INTERVAL if changed else min(2 * self._pause, QUIET_INTERVAL)
        self._not_before = now() + INTERVAL
        # Before the look that follows: what is written from now on is for the next.
        self._is_watched = self._watch is not None and self._watch.begin(self._path)
        self._committed = self._commits.last()
        self._state = self._look()

    async def _changed(self, within: float) -> bool:
        """Whether the file changes within so many seconds; or something is committed within the longest time,
        where the index says so."""
        loop = asyncio.get_running_loop()
        told: asyncio.Future[bool] = loop.create_future()
        watch = self._watch if self._is_watched else None
        interval = INTERVAL if watch is None else WATCHED_INTERVAL
        until = loop.time() + (within if self._committed is None else QUIET_INTERVAL)
        pause = within

        def tell(changed: bool) -> None:
            # Whoever waits may just have been cancelled, or told by the other of the two.
            if not told.done():
                told.set_result(changed)

        def has_committed() -> bool:
            return self._committed is not None and self._commits.last() != self._committed

        # By a timer: a coroutine that sleeps takes longer.
        def look() -> None:
            nonlocal pause
            before, self._state = self._state, self._look()
            if self._state is None or self._state != before or has_committed():
                tell(True)
            elif (left := until - loop.time()) <= 0:
                tell(False)
            else:
                pause *= 2
                self._timer = loop.call_later(min(pause, interval, left), look)

        def written(watch: Inotify) -> None:
            if self._committed is None or has_committed():
                tell(True)
                return
            # A commit has begun.
            loop.remove_reader(watch.descriptor)
            self._timer.cancel()
            self._timer = loop.call_later(COMMIT_INTERVAL, look_for_commit)

        def look_for_commit() -> None:
            if has_committed():
                tell(True)
            else:
                self._timer = loop.call_later(INTERVAL, tell, True)

        self._timer = loop.call_later(min(pause, interval), look)
        if watch is not None:
            loop.add_reader(watch.descriptor, written, watch)
        try:
            return await told
        finally:
            self._timer.cancel()
            if watch is not None:
                loop.remove_reader(watch.descriptor)

    def _look(self) -> tuple[int, int, int] | None:
        """A value that will differ after the next change; None while that is not certain.

        Where the index tells of commits, that tells two of them apart within one tick of the clock.
        """
        try:
            status = self._path.stat()
        except OSError:
            return None
        if self._committed is None and time.time() - status.st_mtime < _COARSE:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
