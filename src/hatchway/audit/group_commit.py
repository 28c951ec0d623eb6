"""Many writers' records in one transaction.

A gateway must have each tunnel's record committed before a byte reaches the target, and a commit waits for
the disk. So whatever arrives while one transaction commits goes together into the next.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from hatchway.store import Store, Transaction

Answer = TypeVar("Answer")
_MOST_AT_ONCE = 512
_GATHERING = 0.002
"""Seconds that a batch waits for more when the one before it was of several; a lone piece never waits."""


class Closed(Exception):
    """The log takes no more records: the process is stopping."""


class GroupCommit:
    """One thread that runs pieces of work, each on the open transaction, and commits them together.

    A piece's future is done only after the commit. A piece that raises fails alone: whatever it wrote is
    undone and the others are committed. When the commit itself fails, all of its pieces fail.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work: queue.SimpleQueue[tuple[Callable[[Transaction], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, piece: Callable[[Transaction], Answer]) -> Future[Answer]:
        """Queues a piece; its future has its answer once it is committed.

        Raises:
            Closed: after `close`.
        """
        future: Future[Answer] = Future()
        with self._closing:
            if self._closed:
                raise Closed("the log is closed")
            self._work.put((piece, future))
        return future

    def close(self) -> None:
        """Commits all that was queued, then ends the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        busy = False
        while True:
            batch = [self._work.get()]
            if busy:
                time.sleep(_GATHERING)
            while len(batch) < _MOST_AT_ONCE and not self._work.empty():
                batch.append(self._work.get())
            # Once running, a piece cannot be cancelled by whoever waits for it: that would end this thread.
            pieces = [
                entry for entry in batch if entry is not None and entry[1].set_running_or_notify_cancel()
            ]
            busy = len(pieces) > 1
            if pieces:
                self._commit(pieces)
            if None in batch:
                return

    def _commit(self, pieces: list[tuple[Callable[[Transaction], Any], Future[Any]]]) -> None:
        answers: list[tuple[Future[Any], Any, Exception | None]] = []
        try:
            with self._store.record() as tx:
                for piece, future in pieces:
                    try:
                        with tx.savepoint():
                            answers.append((future, piece(tx), None))
                    except Exception as problem:
                        answers.append((future, None, problem))
        except Exception as problem:
            # The first of them that failed may have brought all of it down.
            problem.__cause__ = problem.__cause__ or next((each for *_, each in answers if each), None)
            for _, future in pieces:
                future.set_exception(problem)
            return
        for future, answer, failure in answers:
            if failure is None:
                future.set_result(answer)
            else:
                future.set_exception(failure)
