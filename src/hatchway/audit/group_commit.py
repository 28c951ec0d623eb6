"""Many writers' records in one transaction.

A gateway must have each tunnel's record committed before a byte reaches the target, and a commit waits for
the disk. So whatever arrives while one transaction commits goes together into the next.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from hatchway.store import NothingCommitted, Store, Transaction

Answer = TypeVar("Answer")
Entry = TypeVar("Entry")
Writer = Callable[[Transaction, Sequence[Entry]], Sequence[Answer]]
"""What enters many at once, with a few statements, and answers to each."""

PATIENCE: Final = 0.03
"""Seconds that a patient entry waits for another that is not."""

_MOST_AT_ONCE = 512
_BATCH_WAIT = 0.002
_LONGEST_BATCH_WAIT = 0.016
"""Seconds that a batch waits for more: so many for each piece of the one before it that was not patient, up
to the second number. After a lone piece it does not wait. A commit costs as much as twenty of its pieces."""
_STEP = 0.02
_LONGEST_GATHERING = 0.06
"""The same in PostgreSQL, where a commit is over too soon for many to come meanwhile, and costs more. As long
as more comes within a step, it waits for another, up to the second number; after lone pieces not at all."""
_REMEMBERED = 8
"""Batches, after which it is forgotten that one of them was not of a lone piece."""


class Closed(Exception):
    """The log takes no more records: the process is stopping."""


class GroupCommit:
    """One thread that runs pieces of work, each on the open transaction, and commits them together.

    A piece's future is done only after the commit. A piece that raises fails alone: whatever it wrote is
    undone and the others are committed. When the commit itself fails, all of its pieces fail. Pieces that
    wait for the same commit run in any order, and all of them again after one has failed: nothing but the
    transaction may remember that they ran. One that nobody awaits any more when its turn comes does not run.

    In PostgreSQL what a piece writes goes there with the next question that it asks, or with the commit: see
    `Store.record`. So a piece that the database refuses may be told of only by that.

    What a piece must lock (`Transaction.lock`) it names beforehand: a transaction locks all that its pieces
    need at once, so that no two of them wait for each other.

    Threads wait for what `submit` gives, coroutines for what `enter` gives: an event loop is woken once for
    all that it has in a commit.

    What nobody waits for may be patient: it goes with the next piece that is not, or by itself after
    `PATIENCE`. So where pieces come one by one, an opening and the end of the tunnel before share a commit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work: queue.SimpleQueue[list[_Piece] | None] = queue.SimpleQueue()
        # The patient ones that have not been queued, each with the loop's time at which it is.
        self._patient: deque[tuple[_Piece, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
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
        self._queue(_Piece(lambda tx, _: [piece(tx)], None, future, False, False, frozenset(locks)))
        return future

    def enter(
        self,
        writer: Writer[Entry, Answer],
        entry: Entry,
        *,
        regardless: bool = False,
        patient: bool = False,
        locks: Iterable[str] = (),
    ) -> asyncio.Future[Answer]:
        """Queues an entry for a writer, which gets all of its entries of a commit in one call.

        When it raises, it is called again with each of them, so that one that cannot be entered fails alone.
        `regardless` is whether it is entered although nobody awaits the future any more, `patient` whether it
        may wait for `PATIENCE`. To be called on a running event loop, patient entries always on the same.

        Raises:
            Closed: after `close`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        piece = _Piece(writer, entry, future, regardless, patient, frozenset(locks))
        if patient:
            self._keep(piece, loop)
        else:
            self._queue(piece)
        return future

    def close(self) -> None:
        """Commits all that was queued, then ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._work.put(self._take_patient())
                self._work.put(None)
        self._thread.join()

    def _queue(self, piece: _Piece) -> None:
        with self._closing:
            self._require_open()
            # As one, so that none of them is committed without the others.
            self._work.put([*self._take_patient(), piece])

    def _keep(self, piece: _Piece, loop: asyncio.AbstractEventLoop) -> None:
        """Have it queued with the next piece, or when its time is up."""
        with self._closing:
            self._require_open()
            self._patient.append((piece, loop.time() + PATIENCE))
            if len(self._patient) >= _MOST_AT_ONCE:
                self._work.put(self._take_patient())
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE, self._lose_patience, loop)

    def _lose_patience(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        with self._closing:
            if not self._patient:
                return
            # Those that were there when the timer began have gone with others, mostly.
            due = self._patient[0][1]
            if due <= loop.time():
                self._work.put(self._take_patient())
                return
        self._timer = loop.call_at(due, self._lose_patience, loop)

    def _take_patient(self) -> list[_Piece]:
        """To be called while closing is locked."""
        taken = [piece for piece, _ in self._patient]
        self._patient.clear()
        return taken

    def _require_open(self) -> None:
        if self._closed:
            raise Closed("the log is closed")

    def _run(self) -> None:
        sizes, ends = deque([0], _REMEMBERED), False
        while not ends:
            batch: list[_Piece] = []
            some = self._work.get()
            self._gather(sizes)
            while True:
                if some is None:
                    ends = True
                else:
                    batch += some
                if len(batch) >= _MOST_AT_ONCE or self._work.empty():
                    break
                some = self._work.get()
            pieces = [piece for piece in batch if piece.is_due()]
            sizes.append(sum(not piece.patient for piece in pieces))
            if pieces:
                self._commit(pieces)

    def _gather(self, sizes: Sequence[int]) -> None:
        """Wait for more, after batches with so many pieces that were not patient."""
        if self._store.is_sqlite:
            if sizes[-1] > 1:
                time.sleep(min(_BATCH_WAIT * sizes[-1], _LONGEST_BATCH_WAIT))
        elif max(sizes) > 1:
            came, waited = -1, 0.0
            while came < (came := self._work.qsize()) and waited < _LONGEST_GATHERING:
                time.sleep(_STEP)
                waited += _STEP

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
        try:
            with self._store.record(in_pipeline=True) as tx:
                try:
                    tx.lock(*{name for piece in pieces for name in piece.locks})
                    for writer, entries in writers.items():
                        answers = writer(tx, [piece.entry for piece in entries])
                        outcomes += [
                            (piece, answer, None) for piece, answer in zip(entries, answers, strict=True)
                        ]
                except Exception as problem:
                    raise _Refused(problem) from problem
        except NothingCommitted as refused:
            raise _Refused(refused.problem) from refused
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
    patient: bool
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
