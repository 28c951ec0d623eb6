"""How a process writes to SQLite: through one connection, by turns, and many wait for the disk as one.

A transaction that SQLite itself puts on the disk holds the write lock while the disk works, and the wait of
the next one begins when its own is over. So here SQLite commits to the write-ahead log without waiting
(`synchronous=NORMAL`, SQLite: "Write-Ahead Logging"), and whoever has committed lets go of the lock and waits
until the log is on the disk: one wait is for all who have committed when it begins.

That loses nothing. No transaction is over, and no answer goes out, before it is on the disk. The log is one
file: once something in it is on the disk, so is all that was committed before. So nothing that lasts rests on
what does not. After a power failure SQLite takes the log up to the last transaction that is whole.
"""

import errno
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from hatchway.store.prepared import fail
from hatchway.store.problems import StoreBusy
from hatchway.store.sqlite_file import SEEN, FileWatch
from hatchway.store.writing import require_transaction, write_by

_POLL_SECONDS: Final = 0.001
"""How often SQLite's write lock is asked for while another process holds it.

SQLite's own waiting asks ever more seldom, down to ten times a second (`sqlite3_busy_timeout`): a process
whose threads write one after another would keep all others out, a gateway's openings and lease among them.
"""
_HAND_OVER_SECONDS: Final = 0.002
"""How long the lock is left to other processes."""
_HELD_SECONDS: Final = 0.008
"""For how long writers of one process may follow each other at once."""
_LOG_PAGES: Final = 4000
"""Pages in the log after which they go into the database, 16 MiB: many are the same ones again."""

_sync: Final = getattr(os, "fdatasync", os.fsync)


class SqliteWriter:
    """Of one store. Thread-safe."""

    def __init__(self, engine: Engine, busy_seconds: float, watch: FileWatch | None = None) -> None:
        """`watch` is of the engine's file, if it has one of a path."""
        self._engine = engine
        self._busy_seconds = busy_seconds
        self._turn = threading.Lock()
        self._followed_since = self._left_at = 0.0
        self._connection: Connection | None = None
        self._log: _Log | None = None
        self._watch = watch

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection within a transaction, which is on the disk when the context is left.

        It begins and ends by the driver itself, as most goes that is done within (`hatchway.store.prepared`).
        Whoever uses more of the connection has SQLAlchemy begin a transaction of its own, which is this one,
        and ends with it.

        Raises:
            StoreBusy: others of this process have had the turn for too long.
            TransactionEnded: SQLite has ended it of its own accord, and nothing is committed.
            OSError: the disk does not write the log, or it cannot be opened.
        """
        self._take_turn()
        try:
            connection = self._ready()
            driver: Any = connection.connection.dbapi_connection
            try:
                self._begin(connection, driver)
                if self._log is not None:
                    self._log.open()
                yield connection
                self._commit(connection, driver)
            except BaseException:
                self._undo(connection, driver)
                raise
            log = self._log
            place = 0 if log is None else log.note_commit()
        finally:
            self._left_at = time.monotonic()
            self._turn.release()
        if log is not None:
            log.wait_for(place)

    def close(self) -> None:
        """Closes the engine's connections, and its own."""
        with self._turn:
            self._drop()
        self._engine.dispose()
        if self._watch is not None:
            self._watch.close()

    def _take_turn(self) -> None:
        """Writers of one process take turns, because SQLite gives its one write lock to any who waits.

        When they have followed each other for a while, they leave the lock to other processes.
        """
        # With a time-out: when the store is locked, each of those ahead waits as long as it may.
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise StoreBusy("too many wait for the store")
        now = time.monotonic()
        if now - self._left_at > _HAND_OVER_SECONDS:
            self._followed_since = now
        elif now - self._followed_since > _HELD_SECONDS:
            time.sleep(_HAND_OVER_SECONDS)
            self._followed_since = time.monotonic()

    def _ready(self) -> Connection:
        if self._log is not None and self._log.failed:
            self._drop()
            self._settle()
        if self._connection is not None and self._watch is not None:
            seen = self._connection.connection.info[SEEN]
            if not self._watch.is_current(seen):
                self._drop()
                self._log = None
        if self._connection is None:
            connection = write_by(self._engine.connect())
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA busy_timeout=0")
            (mode,) = driver.execute("PRAGMA journal_mode").fetchone()
            # On a file system that cannot have a write-ahead log, SQLite waits for the disk itself.
            if mode == "wal":
                driver.execute("PRAGMA synchronous=NORMAL")
                driver.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
                # Beside the file itself, wherever a link or a URI leads (SQLite: "Write-Ahead Logging").
                (path,) = [row[2] for row in driver.execute("PRAGMA database_list") if row[1] == "main"]
                self._log = _Log(f"{path}-wal")
            self._connection = connection
        return self._connection

    def _settle(self) -> None:
        """Puts what the disk did not write into the log into the database itself, and that on the disk.

        Raises:
            StoreBusy: somebody still reads what is in the log alone.
        """
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            (blocked, *_) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if blocked:
            raise StoreBusy("the log cannot be put into the database")
        self._log = None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not back into the pool, whose connections wait for the disk and for locks.
            if not connection.invalidated:
                connection.detach()
            connection.close()

    def _begin(self, connection: Connection, driver: Any) -> None:
        """Begins a transaction with the write lock."""
        until = time.monotonic() + self._busy_seconds
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as problem:
                # The primary result code is in the lowest byte (SQLite: "Result and Error Codes").
                busy = problem.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() >= until:
                    fail(connection, problem, None, "BEGIN IMMEDIATE")
                time.sleep(_POLL_SECONDS)
            else:
                return

    def _commit(self, connection: Connection, driver: Any) -> None:
        # Committing what is over raises nothing, and nothing is committed.
        require_transaction(connection, driver)
        if connection.in_transaction():
            connection.commit()
            return
        # Whoever watches the engine's commits sees these too.
        for told in self._engine.dispatch.commit:
            told(connection)
        try:
            driver.execute("COMMIT")
        except sqlite3.Error as problem:
            fail(connection, problem, None, "COMMIT")

    def _undo(self, connection: Connection, driver: Any) -> None:
        """A connection that does not undo it is closed, which does."""
        with suppress(sqlite3.Error, DBAPIError):
            if connection.in_transaction():
                connection.rollback()
            elif driver.in_transaction:
                driver.execute("ROLLBACK")
            if connection.get_transaction() is None and not driver.in_transaction:
                return
        self._drop()


class _Log:
    """The write-ahead log of one database, as long as a connection is open that keeps it from being deleted.

    Its places are numbers that count commits. `failed` is whether the disk has not written all of it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._syncing = threading.Lock()
        self._committed = 0
        self._synced = 0
        self.failed = False

    def open(self) -> None:
        """Opens it, within a transaction: from then on it is there.

        Before anything is committed: what the disk fails to write later, for whomever, is told to those who
        had the file open (fsync(2)).

        Raises:
            OSError: it cannot be opened.
        """
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._file)

    def note_commit(self) -> int:
        """The place of what has been committed just now. One caller at a time."""
        self._committed += 1
        return self._committed

    def wait_for(self, place: int) -> None:
        """Returns when all up to this place is on the disk.

        Raises:
            OSError: it is not.
        """
        # Whoever comes first waits for the disk, for all who have committed before; the others for him.
        with self._syncing:
            if self._synced >= place:
                return
            committed = self._committed
            try:
                if self.failed or self._file is None:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                _sync(self._file)
            except OSError as problem:
                # What a disk has once failed to write, it will not be asked for again (fsync(2)).
                self.failed = True
                raise OSError(problem.errno, problem.strerror, self._path) from problem
            self._synced = committed
