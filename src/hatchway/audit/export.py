"""The audit log as JSON lines: one event a line, in the order in which they were committed.

The store is the truth; the file follows it. A row is marked only after its line is on the disk, so that a
crash in between leaves lines of events that are not marked: about `_AT_ONCE`, the last of the file. Whoever
goes on with that file finds them there, and only marks them. Who goes on with another, on another machine,
writes them there as well: `eventID` tells the two for one. So no event is lost, and none is twice in one
file. A line that a crash or a full disk has torn is taken away again before the next is written.

Of several control planes one writes at a time, which `confirm` sees to (`hatchway.store.leadership`). One
that cannot write its file leaves that to others, until it can again (`Export.can_write`).
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hatchway.audit.log import safe_line
from hatchway.store import Store, Transaction
from hatchway.store.audit_rows import Found

PATIENCE: Final = 5.0
"""Seconds after which it is tried again whether a file can be written."""
_ROOM: Final = 4 << 20
"""Bytes that must be free then: more than is written at once."""
_AT_ONCE: Final = 1000
_LOOKED_THROUGH: Final = 2 * _AT_ONCE
"""Lines in which those of events that are not marked stand, a few that came late and are older among them."""
_CHUNK: Final = 65_536


class FileNotWritten(OSError):
    """The file cannot be written: another control plane may be able to write its own."""


class Export:
    """Carries on one file.

    `confirm` is called in each transaction that reads what is to be written, and raises when another writes.
    """

    def __init__(
        self,
        store: Store,
        path: Path,
        confirm: Callable[[Transaction], object] = lambda tx: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._failed_at: float | None = None
        self._store = store
        self._path = path
        self._confirm = confirm
        self._written: Sequence[Found] = ()
        """The events that are in the file and may not be marked yet."""
        self._left: tuple[int, int, int] | None = None
        """The file as this left it. In one that another left, events may be that are not marked."""

    def run(self, most: int | None = None) -> int:
        """Appends every event that is not in the file yet; how many there were.

        Args:
            most: how many to append at most, or a few more; None for all.

        Raises:
            FileNotWritten: nothing was marked, so nothing is lost.
            Exception: the store cannot be read or written; no event will be in the file twice for that.
        """
        try:
            return self._run(most)
        except FileNotWritten:
            self._failed_at = self._monotonic()
            raise

    def _run(self, most: int | None) -> int:
        exported = 0
        while (most is None or exported < most) and (self._written or self._is_due()):
            with _alone(self._path):
                # Another server, which this one succeeds, may have written them meanwhile.
                events = self._next()
                there = (
                    frozenset()
                    if self._left == _place(self._path)
                    else _last_events(self._path, _LOOKED_THROUGH)
                )
                new = [event for event in events if event.event_id not in there]
                if new:
                    _append(self._path, b"".join(safe_line(each.body).encode() + b"\n" for each in new))
                self._left = _place(self._path)
                self._written = events
                exported += len(new)
        return exported

    @property
    def is_failing(self) -> bool:
        """Whether the file could not be written the last time that this was tried."""
        return self._failed_at is not None

    def can_write(self) -> bool:
        """Whether the file can be written, as far as is known.

        After a failure it is tried some seconds after each other.
        """
        if self._failed_at is not None and self._monotonic() - self._failed_at >= PATIENCE:
            try:
                _try_to_write(self._path)
            except OSError:
                self._failed_at = self._monotonic()
            else:
                self._failed_at = None
        return self._failed_at is None

    def resume(self) -> None:
        """Has the next run look for what is in the file already: another may have written it meanwhile."""
        self._left = None

    def _is_due(self) -> bool:
        with self._store.read() as tx:
            return bool(tx.audit_records.unexported(1))

    def _next(self) -> Sequence[Found]:
        """Events that are to be written, and that no crash undoes any more; those before are marked.

        Others commit before what they did is on the disk. A line of what a crash then undoes would tell of
        what never was, and a gateway that makes up for it records another outcome under the same `eventID`.
        """
        with self._store.record() as tx:
            self._confirm(tx)
            tx.make_durable()
            tx.audit_records.mark_exported(self._written)
            events = tx.audit_records.unexported(_AT_ONCE)
        self._written = ()
        return events


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other servers from the file meanwhile.

    Raises:
        FileNotWritten: it cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o640)
    except OSError as problem:
        raise FileNotWritten(problem.errno, problem.strerror, str(path)) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _place(path: Path) -> tuple[int, int, int]:
    """Which file is there, and how far it goes."""
    there = path.stat()
    return there.st_dev, there.st_ino, there.st_size


def _append(path: Path, lines: bytes) -> None:
    """Appends whole lines, or nothing.

    Raises:
        FileNotWritten: nothing.
    """
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
        raise FileNotWritten(problem.errno, problem.strerror, str(path)) from problem
    finally:
        os.close(descriptor)


def _try_to_write(path: Path) -> None:
    """Beside it: another may be writing into the file itself.

    Raises:
        OSError: it cannot be written, or there is no room.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640))
    with tempfile.TemporaryFile(dir=path.parent) as file:
        os.posix_fallocate(file.fileno(), 0, _ROOM)


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


def _last_events(path: Path, most: int) -> frozenset[str]:
    """The ids of the last events in the file, up to so many."""
    found: set[str] = set()
    for line in _last_lines(path, most):
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and isinstance(event.get("eventID"), str):
            found.add(event["eventID"])
    return frozenset(found)


def _last_lines(path: Path, most: int) -> Iterable[bytes]:
    """Up to so many whole lines from the end. A line is no longer than an event may be."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        pieces: list[bytes] = []
        ends = 0
        while start and ends <= most:
            size = min(_CHUNK, start)
            start -= size
            file.seek(start)
            pieces.append(file.read(size))
            ends += pieces[-1].count(b"\n")
    return b"".join(reversed(pieces)).split(b"\n")[-most - 1 :]
