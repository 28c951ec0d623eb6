"""The audit log as JSON lines: one event a line, about in the order in which they were committed
(`hatchway.store.trail.due_events`).

The store is the truth; the file follows it. A row is marked only after its line is on the disk, so that a
crash in between leaves lines of events that are not marked: about `_AT_ONCE`, the last of the file. Whoever
goes on with that file finds them there, and only marks them. Who goes on with another, on another machine,
writes them there as well: `eventID` tells the two for one. A store that is restored knows nothing of what was
marked since, and is taken for one that another has left so. So no event is lost, and none is twice in one
file. A line that a crash or a full disk has torn is taken away again before the next is written.

Of several control planes one writes at a time, which `confirm` sees to
(`hatchway.store.processes.leadership`). One that cannot write its file leaves that to others, until it can
again (`Export.can_write`).
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hatchway.audit.log import safe_line
from hatchway.audit.terms import NO_EVENT
from hatchway.privileges import as_owner_of
from hatchway.store import BEGINNING, Store, Transaction
from hatchway.store.trail.event_bodies import Found

if TYPE_CHECKING:
    from hatchway.store.trail.due_events import Round

PATIENCE: Final = 5.0
"""Seconds after which it is tried again whether a file can be written."""
_ROOM: Final = 4 << 20
"""Bytes that must be free then: more than is written at once."""
_AT_ONCE: Final = 1000
_LOOKED_THROUGH: Final = 3 * _AT_ONCE
"""Events are not in the file where so many lines one after the other are older than most of them: those that
are older themselves, and a few that come late."""
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
        self._seen = BEGINNING
        self._round: Round | None = None

    def run(self, most: int | None = None) -> int:
        """Appends every event that is not in the file yet; how many there were.

        Args:
            most: how many to append at most, or fewer, where they are large, or a few more; None for all.

        Raises:
            FileNotWritten: nothing was marked, so nothing is lost.
            Exception: the store cannot be read or written; no event will be in the file twice for that.
        """
        try:
            return self._run(most)
        except FileNotWritten:
            self._failed_at = self._monotonic()
            raise
        except Exception:
            # The store may be another when it can be used again.
            self.resume()
            raise

    def _run(self, most: int | None) -> int:
        exported = looked_at = 0
        while (most is None or looked_at < most) and (self._written or self._is_due()):
            looked_at += _AT_ONCE
            with _alone(self._path):
                # Another server, which this one succeeds, may have written them meanwhile.
                events = self._next()
                there = frozenset() if self._left == _place(self._path) else _there(self._path, events)
                new = [event for event in events if event.event_id not in there]
                if new:
                    lines = b"".join(_line(each) + b"\n" for each in new)
                    self._left = _append(self._path, lines)
                if there:
                    self.resume()
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
        self._left = self._round = None

    def _is_due(self) -> bool:
        with self._store.read() as tx:
            return tx.audit_records.oldest_unexported() is not None

    def _next(self) -> Sequence[Found]:
        """Events that are to be written, and that no crash undoes any more; those before are marked.

        Others commit before what they did is on the disk. A line of what a crash then undoes would tell of
        what never was, and a gateway that makes up for it records another outcome under the same `eventID`.
        """
        with self._store.record() as tx:
            self._confirm(tx)
            tx.make_durable()
            if not tx.follows(self._seen):
                self.resume()
            self._seen = tx.position()
            tx.audit_records.mark_exported(self._written)
            due = tx.audit_records.unexported(_AT_ONCE, self._round)
        self._written, self._round = (), due.round
        return due.events


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keeps other servers from the file meanwhile.

    Raises:
        FileNotWritten: it cannot be opened.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except OSError as problem:
        raise FileNotWritten(problem.errno, problem.strerror, str(path)) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _place(file: Path | int) -> tuple[int, int, int]:
    """Which file it is, and how far it goes."""
    there = os.fstat(file) if isinstance(file, int) else file.stat()
    return there.st_dev, there.st_ino, there.st_size


def _append(path: Path, lines: bytes) -> tuple[int, int, int]:
    """Appends whole lines, or nothing. The place of the file that has them, whatever is at `path` by then.

    Raises:
        FileNotWritten: nothing.
    """
    try:
        descriptor = _open(path, os.O_RDWR | os.O_APPEND)
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
            return _place(descriptor)
        finally:
            os.close(descriptor)
    except OSError as problem:
        raise FileNotWritten(problem.errno, problem.strerror, str(path)) from problem


def _open(path: Path, flags: int) -> int:
    """Where root runs a server in another's directory, no link of his has it write to a file of anybody's."""
    with as_owner_of(path.absolute().parent):
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _try_to_write(path: Path) -> None:
    """Beside it: another may be writing into the file itself.

    Raises:
        OSError: it cannot be written, or there is no room.
    """
    os.close(_open(path, os.O_RDWR | os.O_APPEND))
    with as_owner_of(path.absolute().parent), tempfile.TemporaryFile(dir=path.parent) as file:
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


def _there(path: Path, events: Sequence[Found]) -> frozenset[str]:
    """The ids of those events that are in the file."""
    # By the whole line: who has a gateway's role may have entered another of the same id, which it chose.
    wanted = {_line(event): event.event_id for event in events}
    # They come one after the other in the trail: none is much older than most. Not by the oldest of them: who
    # has a gateway's role may say that one is older than the whole file, which would be read for that.
    times = sorted(_time_of(event.body) for event in events)
    usual = times[len(times) // 2] if times else ""
    found: set[str] = set()
    older = 0
    for line in _lines_from_the_end(path):
        if line in wanted:
            found.add(wanted[line])
        older = 0 if _time_of(line) >= usual else older + 1
        if older >= _LOOKED_THROUGH or len(found) == len(wanted):
            break
    return frozenset(found)


def _line(event: Found) -> bytes:
    """What stands in the file. A carriage return, between what JSON is made of, would end it for some."""
    return safe_line(event.body).replace("\r", " ").encode()


def _time_of(line: str | bytes) -> str:
    """An event's time; empty of what is none."""
    try:
        return str(json.loads(line)["eventTime"])
    except NO_EVENT:
        return ""


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    """The last line first, without their ends. A line is no longer than an event may be."""
    with os.fdopen(_open(path, os.O_RDONLY), "rb") as file:
        start = file.seek(0, os.SEEK_END)
        rest = b""
        while start:
            size = min(_CHUNK, start)
            start -= size
            file.seek(start)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
        yield rest
