"""The audit log as JSON lines: one event a line, in the order in which they were committed.

The store is the truth; the file follows it. A row is marked only after its line is on the disk, so that a
crash in between writes a line twice rather than never: `eventID` tells the two for one. A line that a crash
or a full disk has torn is taken away again before the next is written.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hatchway.audit.log import safe_line
from hatchway.store import Store
from hatchway.store.audit_rows import Found

_AT_ONCE: Final = 1000
_CHUNK: Final = 65_536


class Export:
    """Carries on one file."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._written: Sequence[Found] = ()
        """The events that are in the file and may not be marked yet."""

    def run(self) -> int:
        """Appends every event that is not in the file yet; how many there were.

        Raises:
            OSError: the file cannot be written; nothing was marked, so nothing is lost.
            Exception: the store cannot be read or written; no event will be in the file twice for that.
        """
        exported = 0
        while True:
            self._mark()
            with self._store.read() as tx:
                if not tx.audit_records.unexported(1):
                    return exported
            with _alone(self._path):
                events = self._due()
                if not events:
                    # Another server, which this one succeeds, has written them meanwhile.
                    continue
                _append(self._path, b"".join(safe_line(each.body).encode() + b"\n" for each in events))
                self._written = events
                exported += len(events)
                self._mark()

    def _due(self) -> Sequence[Found]:
        """Events that no crash undoes any more.

        Others commit before what they did is on the disk. A line of what a crash then undoes would tell of
        what never was, and a gateway that makes up for it records another outcome under the same `eventID`.
        """
        with self._store.record() as tx:
            tx.make_durable()
            return tx.audit_records.unexported(_AT_ONCE)

    def _mark(self) -> None:
        if self._written:
            with self._store.record() as tx:
                tx.audit_records.mark_exported(self._written)
            self._written = ()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other servers from the file meanwhile.

    Raises:
        OSError: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o640)
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, str(path)) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _append(path: Path, lines: bytes) -> None:
    """Appends whole lines, or nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        size = _drop_torn_line(descriptor)
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    except OSError as problem:
        raise OSError(problem.errno, problem.strerror, str(path)) from problem
    finally:
        os.close(descriptor)


def _drop_torn_line(descriptor: int) -> int:
    """Takes away what stands behind the last end of a line; the file's size then."""
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        start = max(0, end - _CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
