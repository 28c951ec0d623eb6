"""Whether SQLite's file is still the one that was opened, and what stands beside it its own.

An operator puts a copy back by `mv` while servers run. A file of another inode is opened anew: whoever goes
on with the former one writes where nobody will look. And the former one's log must not be applied to it,
which SQLite itself does not notice ("How To Corrupt An SQLite Database File"): when the log is still the
former's, the file is not used.

Or he copies onto it with `cp`, or deletes the log. Then what is read and written is neither the former store
nor the copy, so it is not used any more either, until all servers were stopped:

- The log and its index last for as long as a connection is open. One that finds others in their places, or
  none, has a log that nobody else will read.
- The file is written by whoever moves pages there from the log (a checkpoint), and by no other part of
  SQLite; the log's index says how far that has come. So a file that was written to while that has not changed
  was written to by somebody else.

The file is looked at and never opened here: to close it would take away the locks that SQLite has on it in
this process (fcntl(2)). So it is with the index, which is kept open for as long as any store here has it.
"""

import os
import struct
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

SEEN: Final = "hatchway_file"
"""Under which a connection's record has what it has opened."""

Inode = tuple[int, int] | None
_Moved = tuple[bytes, int]
"""How far pages have been moved to the file: which use of the log, and how many of its frames."""

_INDEX_VERSION: Final = 3007000
_INDEX_HEADER_BYTES: Final = 48
"""Of the index, from its beginning: what each commit writes last. From then on all read what it committed
("WAL-mode File Format", 2.1)."""
_INDEX: Final = struct.Struct("=I28x8s56xI28xI")
"""Of the log's index: its format, the salts of the log's present use, how many of its frames are in the file,
and how many were to be ("WAL-mode File Format", 2.1: `iVersion`, `aSalt`, `nBackfill`, `nBackfillAttempted`).
"""


class FileMisused(Exception):
    """The store's file, or what belongs to it, was replaced by other means than SQLite's. The message says
    what to do."""


class ForeignLog(FileMisused):
    """The store's file was replaced, and the log of the former one is beside it."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was replaced by a copy while {path}-wal is of the former one: stop all servers, delete"
            f" {path}-wal and {path}-shm, put the copy there again, and start them ('hatchway restore' does"
            " that in an empty directory)"
        )


class LogTaken(FileMisused):
    """The log was deleted or replaced while it was in use."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path}-wal or {path}-shm was deleted or replaced while servers use it: stop all servers, of"
            " which the last puts what it has into the store, and start them"
        )


class Overwritten(FileMisused):
    """Something else than SQLite has written to the file while it was in use."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} was written to by something else than SQLite (cp?) while servers use it: stop all"
            f" servers, delete {path}-wal and {path}-shm, put the copy there again, and start them; of what"
            " was there before, a backup"
        )


@dataclass(slots=True)
class Seen:
    """What a connection has opened. SQLite opens the log with the first statement."""

    file: Inode
    beside: tuple[Inode, Inode] = (None, None)


class FileWatch:
    """Of one file, as long as somebody has its log open. Thread-safe."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: Inode = None
        self._log: Inode = None
        self._misused: tuple[Inode, FileMisused] | None = None
        self._index = _Index(f"{path}-shm", _open_index)
        self._written: tuple[tuple[Inode, Inode, _Moved], int] | None = None

    def open(self) -> Seen:
        """What a connection is about to open.

        Raises:
            ForeignLog: the log beside the file is that of another.
            FileMisused: what was found before has not been put right.
        """
        with self._lock:
            seen = Seen(self._look())
            self._require_not_overwritten(_look(f"{self._path}-shm")[0])
            return seen

    def is_current(self, seen: Seen) -> bool:
        """Whether what a connection has opened is what is there.

        Raises:
            FileMisused: the file is the same, and yet not to be used; or as `open`.
        """
        with self._lock:
            file = self._look()
            if seen.file is None:
                # One that was not there is made after the connection.
                seen.file = file
            if file != seen.file:
                return False
            beside = self._log, _look(f"{self._path}-shm")[0]
            if None in seen.beside:
                seen.beside = beside
            if beside != seen.beside:
                self._refuse(LogTaken(self._path))
            self._require_not_overwritten(beside[1])
            return True

    def close(self) -> None:
        """When no connection is open any more."""
        with self._lock:
            self._index.close()
            self._written = None

    def _look(self) -> Inode:
        file, *_ = _look(self._path)
        log, size, _ = _look(f"{self._path}-wal")
        if self._file not in (None, file) and size and log == self._log:
            raise ForeignLog(self._path)
        self._file, self._log = file, log
        if self._misused is not None and self._misused[0] == file:
            raise self._misused[1]
        return file

    def _refuse(self, problem: FileMisused) -> None:
        self._misused = self._file, problem
        raise problem

    def _require_not_overwritten(self, index: Inode) -> None:
        """Compares with the last look: the file was not written to while no page was moved there."""
        before = self._index.moved(index)
        file, _, written = _look(self._path)
        if before is None or before != self._index.moved(index):
            # There is nothing to be known, or it is being written at this moment.
            self._written = None
            return
        former, self._written = self._written, ((file, index, before), written)
        if former is not None and former[0] == self._written[0] and former[1] != written:
            self._refuse(Overwritten(self._path))


class Commits:
    """What of a database can be read, as its log's index says. For one thread; its owner closes it."""

    def __init__(self, path: str) -> None:
        self._path = f"{path}-shm"
        self._index = _Index(self._path, _open_index_in_use)

    def last(self) -> bytes | None:
        """A value that is another after each commit, of whichever process, once that can be read.

        It takes no lock and waits for nobody. None where it cannot be told, as before a store of this process
        has opened the log.
        """
        head = self._index.head(_look(self._path)[0])
        return None if head is None else head[:_INDEX_HEADER_BYTES]

    def close(self) -> None:
        self._index.close()


class _Index:
    """The log's index, kept open: see above. While it is, no other file has its inode. Not thread-safe."""

    def __init__(self, path: str, open_index: Callable[[str, tuple[int, int]], int | None]) -> None:
        self._path = path
        self._open = open_index
        self._inode: Inode = None
        self._descriptor = -1
        self._give_back: weakref.finalize[..., _Index] | None = None

    def moved(self, inode: Inode) -> _Moved | None:
        """How far pages were moved; None while some are, and where it cannot be told.

        Args:
            inode: of the index that is there now.
        """
        if (head := self.head(inode)) is None:
            return None
        _, salts, moved, meant = _INDEX.unpack(head)
        return (salts, moved) if moved == meant else None

    def head(self, inode: Inode) -> bytes | None:
        """Its first bytes, of a format that is known; None where they cannot be read."""
        if inode != self._inode or self._descriptor < 0:
            self.close()
            self._inode = inode
            if inode is not None and (descriptor := self._open(self._path, inode)) is not None:
                self._descriptor = descriptor
                self._give_back = weakref.finalize(self, _close_index, inode)
        if self._descriptor < 0:
            return None
        head = os.pread(self._descriptor, _INDEX.size, 0)
        return head if len(head) == _INDEX.size and _INDEX.unpack(head)[0] == _INDEX_VERSION else None

    def close(self) -> None:
        if self._give_back is not None:
            self._give_back()
        self._inode, self._descriptor = None, -1


_indexes: dict[tuple[int, int], list[int]] = {}
"""Those that are open in this process: each one's descriptor, and how many have it."""
_indexes_lock = threading.Lock()


def _open_index(path: str, inode: tuple[int, int]) -> int | None:
    """A descriptor of it, to be given back by `_close_index`; None where it cannot be opened."""
    with _indexes_lock:
        if inode not in _indexes:
            descriptor = _open_inode(path, inode)
            if descriptor is None:
                return None
            _indexes[inode] = [descriptor, 0]
        _indexes[inode][1] += 1
        return _indexes[inode][0]


def _open_inode(path: str, inode: tuple[int, int]) -> int | None:
    """A descriptor of this file; None if it cannot be opened, or another has taken its place meanwhile.

    It is opened with O_PATH first: closing such a descriptor takes no lock away (open(2)), and another file
    may be one that SQLite has locked in this process.
    """
    try:
        place = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        status = os.fstat(place)
        if (status.st_dev, status.st_ino) != inode:
            return None
        return os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    finally:
        os.close(place)


def _open_index_in_use(_path: str, inode: tuple[int, int]) -> int | None:
    """The same where a store here has it. Otherwise it would be closed while SQLite has locks."""
    with _indexes_lock:
        if inode not in _indexes:
            return None
        _indexes[inode][1] += 1
        return _indexes[inode][0]


def _close_index(inode: tuple[int, int]) -> None:
    with _indexes_lock:
        held = _indexes[inode]
        held[1] -= 1
        if not held[1]:
            del _indexes[inode]
            os.close(held[0])


def watch_file(engine: Engine) -> FileWatch | None:
    """Has connections made anew when the file is another. None of one that is no file of a path.

    They raise `FileMisused` when it is not to be used.
    """
    path = engine.url.database or ""
    if not path or path.startswith((":", "file:")):
        return None
    watch = FileWatch(path)

    def opened(_connection: Any, record: Any) -> None:
        record.info[SEEN] = watch.open()

    def taken(_connection: Any, record: Any, _proxy: Any) -> None:
        if not watch.is_current(record.info[SEEN]):
            raise DisconnectionError("the store's file is another")

    # Before anything is read.
    event.listen(engine, "connect", opened, insert=True)
    event.listen(engine, "checkout", taken)
    return watch


def _look(path: str) -> tuple[Inode, int, int]:
    """Which file it is, its size, and when it was last written to."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None, 0, 0
    return (status.st_dev, status.st_ino), status.st_size, status.st_mtime_ns
