"""Whether SQLite's file is still the one that was opened, and the write-ahead log beside it its own.

An operator puts a copy back by `mv` while servers run. A file of another inode is opened anew: whoever goes
on with the former one writes where nobody will look. And the former one's log must not be applied to it,
which SQLite itself does not notice ("How To Corrupt An SQLite Database File"): when the log is still the
former's, the file is not used.

The file is looked at and never opened here: to close it would take away the locks that SQLite has on it in
this process (fcntl(2)). So one that was overwritten in its place is not noticed.
"""

import os
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

_FILE: Final = "hatchway_file"

Inode = tuple[int, int] | None


class ForeignLog(Exception):
    """The store's file was replaced, and the log of the former one is beside it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was replaced by a copy while {path}-wal is of the former one: stop all servers, delete"
            f" {path}-wal and {path}-shm, put the copy there again, and start them ('hatchway restore' does"
            " that in an empty directory)"
        )


class FileWatch:
    """Of one file, as long as somebody has its log open."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Inode = None
        self._log: Inode = None

    def look(self) -> Inode:
        """What tells the file from any other; None when there is none.

        Raises:
            ForeignLog: the log beside it is that of another.
        """
        file, _ = _look(self._path)
        log, size = _look(f"{self._path}-wal")
        if self._file not in (None, file) and size and log == self._log:
            raise ForeignLog(self._path)
        self._file, self._log = file, log
        return file


def watch_file(engine: Engine) -> None:
    """Has connections made anew when the file is another.

    They raise `ForeignLog` when the log beside it is not its own.
    """
    path = engine.url.database or ""
    if not path or path.startswith((":", "file:")):
        return
    watch = FileWatch(path)

    def opened(_connection: Any, record: Any) -> None:
        record.info[_FILE] = watch.look()

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        # A file that was not there is made after the connection.
        if record.info[_FILE] is None:
            record.info[_FILE] = watch.look()
        elif record.info[_FILE] != watch.look():
            raise DisconnectionError("the store's file is another")

    # Before anything is read.
    event.listen(engine, "connect", opened, insert=True)
    event.listen(engine, "checkout", taken)


def _look(path: str) -> tuple[Inode, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None, 0
    return (status.st_dev, status.st_ino), status.st_size
