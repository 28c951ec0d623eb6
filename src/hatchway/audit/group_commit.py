"""Many writers' records in one transaction.

A gateway must have each tunnel's record committed before a byte reaches the target, and a commit waits for
the disk. So whatever arrives while one transaction commits goes together into the next.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from hatchway.store import Store, Transaction

Answer = TypeVar("Answer")
Entry = TypeVar("Entry")
Writer = Callable[[Transaction, Sequence[Entry]], Sequence[Answer]]
"""What enters many at once, with a few statements, and answers to each."""

_MOST_AT_ONCE = 512
_BATCH_WAIT = 0.001
_LONGEST_BATCH_WAIT = 0.016
"""Seconds that a batch waits for more: so many for each piece of the one before it, up to the second number.
After a lone piece it does not wait. A commit costs as much as twenty of its pieces."""


class Closed(Exception):
    """The log takes no more records: the process is stopping."""


class GroupCommit:
    """One thread that runs pieces of work, each on the open transaction, and commits them together.

    A piece's future is done only after the commit. A piece that raises fails alone: whatever it wrote is
    undone and the others are committed. When the commit itself fails, all of its pieces fail. Pieces that
    wait for the same commit run in any order, and all of them again after one has failed: nothing but the
    transaction may remember that they ran. One that nobody awaits any more when its turn comes does not run.

    What a piece must lock (`Transaction.lock`) it names beforehand: a transaction locks all that its pieces
    need at once, so that no two of them wait for each other.

    Threads wait for what `submit` gives, coroutines for what `enter` gives: an event loop is woken once for
    all that it has in a commit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work: queue.SimpleQueue[_Piece | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, piece: Callable[[Transaction], Answer], *, locks: Iterable[str] = ()) -> Future[Answer]:
        """Queues a piece, which runs with these names locked; its future has its answer once it is committed.

        Raises:
            Closed: after `close`.
        """
        future: Future[Answer] = Future()
        self._queue(_Piece(lambda tx, _: [piece(tx)], None, future, False, frozenset(locks)))
        return future

    def enter(
        self,
        writer: Writer[Entry, Answer],
        entry: Entry,
        *,
        regardless: bool = False,
        locks: Iterable[str] = (),
    ) -> asyncio.Future[Answer]:
        """Queues an entry for a writer, which gets all of its entries of a commit in one call.

        When it raises, it is called again with each of them, so that one that cannot be entered fails alone.
        `regardless` is whether it is entered although nobody awaits the future any more. To be called on a
        running event loop.

        Raises:
            Closed: after `close`.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue(_Piece(writer, entry, future, regardless, frozenset(locks)))
        return future

    def close(self) -> None:
        """Commits all that was queued, then ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._work.put(None)
        self._thread.join()

    def _queue(self, piece: _Piece) -> None:
        with self._closing:
            if self._closed:
                raise Closed("the log is closed")
            self._work.put(piece)

    def _run(self) -> None:
        before = 0
        while True:
            batch = [self._work.get()]
            if before > 1:
                time.sleep(min(_BATCH_WAIT * before, _LONGEST_BATCH_WAIT))
            while len(batch) < _MOST_AT_ONCE and not self._work.empty():
                batch.append(self._work.get())
            pieces = [piece for piece in batch if piece is not None and piece.is_due()]
            before = len(pieces)
            if pieces:
                self._commit(pieces)
            if None in batch:
                return

    def _commit(self, pieces: list[_Piece]) -> None:
        try:
            outcomes = self._together(pieces)
        except _Refused as refused:
            # What needs no lock first: it waits for nobody.
            for names in sorted({piece.locks for piece in pieces}, key=len):
                some = [piece for piece in pieces if piece.locks == names]
                _tell(self._each_alone(some, names, refused.problem))
            return
        except Exception as problem:
            outcomes = [(piece, None, problem) for piece in pieces]
        _tell(outcomes)

    def _together(self, pieces: list[_Piece]) -> list[_Outcome]:
        """
        Raises:
            _Refused: a writer could not enter all of its entries, or a lock was not to be had. Nothing is
                committed.
        """
        writers: dict[Writer[Any, Any], list[_Piece]] = defaultdict(list)
        for piece in pieces:
            writers[piece.writer].append(piece)
        outcomes: list[_Outcome] = []
        with self._store.record() as tx:
            try:
                tx.lock(*frozenset[str]().union(*(piece.locks for piece in pieces)))
            except Exception as problem:
                raise _Refused(problem) from problem
            for writer, entries in writers.items():
                try:
                    answers = writer(tx, [piece.entry for piece in entries])
                except Exception as problem:
                    raise _Refused(problem) from problem
                outcomes += [(piece, answer, None) for piece, answer in zip(entries, answers, strict=True)]
        return outcomes

    def _each_alone(self, pieces: list[_Piece], locks: Iterable[str], first: Exception) -> list[_Outcome]:
        """Pieces with the same locks, after `first` has failed all."""
        outcomes: list[_Outcome] = []
        try:
            with self._store.record() as tx:
                tx.lock(*locks)
                for piece in pieces:
                    try:
                        with tx.savepoint():
                            (answer,) = piece.writer(tx, [piece.entry])
                    except Exception as problem:
                        outcomes.append((piece, None, problem))
                    else:
                        outcomes.append((piece, answer, None))
        except Exception as problem:
            # The first of them that failed may have brought all of it down.
            problem.__cause__ = problem.__cause__ or first
            return [(piece, None, problem) for piece in pieces]
        return outcomes


class _Piece(NamedTuple):
    writer: Writer[Any, Any]
    entry: Any
    future: Future[Any] | asyncio.Future[Any]
    regardless: bool
    locks: frozenset[str]

    def is_due(self) -> bool:
        """Whether it is to run, now that its turn has come."""
        if isinstance(self.future, Future):
            # From now on it cannot be cancelled: telling it the outcome would raise.
            return self.future.set_running_or_notify_cancel()
        # A coroutine that has given up waiting has cancelled it, or has had it end.
        return self.regardless or not self.future.done()


_Outcome = tuple[_Piece, Any, Exception | None]


def _tell(outcomes: Iterable[_Outcome]) -> None:
    of_loops: dict[asyncio.AbstractEventLoop, list[_Outcome]] = defaultdict(list)
    of_threads: list[_Outcome] = []
    for outcome in outcomes:
        future = outcome[0].future
        (of_threads if isinstance(future, Future) else of_loops[future.get_loop()]).append(outcome)
    for loop, some in of_loops.items():
        # When it is closed, nobody is left to be told.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, some)
    _settle(of_threads)


def _settle(outcomes: Iterable[_Outcome]) -> None:
    for piece, answer, failure in outcomes:
        future = piece.future
        if future.done():
            # A coroutine has given up waiting meanwhile.
            continue
        if failure is None:
            future.set_result(answer)
        else:
            future.set_exception(failure)


class _Refused(Exception):
    def __init__(self, problem: Exception) -> None:
        super().__init__(str(problem))
        self.problem = problem
