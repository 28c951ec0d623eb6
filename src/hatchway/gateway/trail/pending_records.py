"""Audit records that are missing because the store could not be written.

None of them is given up while the worker runs. Their number is bounded, because a worker with too many of
them opens no more tunnels. If some are left when the worker ends, the control plane records what it knows:
the rows of the tunnels are still there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.store import log_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.store import Transaction

    Piece = Callable[[Transaction], Any]

MOST: Final = 5000
"""Pieces of work, of a few KB each, at which a worker opens no more tunnels. Its existing tunnels may still
add theirs."""

MOST_REFUSALS: Final = 1000
"""Pieces above which no refusal is added: anybody can cause refusals, and they are in the log as well."""

FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
"""Seconds between two attempts: the first pause and the longest. Pauses double while the store cannot be
written."""

_AT_ONCE: Final = 256

log = structlog.get_logger("hatchway.gateway")


class PendingRecords:
    """Pieces of work on the store that failed; each is retried until it is committed.

    A piece may have been committed although it failed, because the connection broke: it must be idempotent.
    """

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._pieces: deque[tuple[Piece, Iterable[str]]] = deque()
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def full(self) -> bool:
        """Whether there are so many that nothing should be started that adds more."""
        return len(self._pieces) >= MOST

    def add(self, piece: Piece, *, locks: Iterable[str] = ()) -> None:
        """Retry a piece, which runs while these names are locked."""
        self._pieces.append((piece, locks))
        self._some.set()
        self._none.clear()

    def add_refusal(self, piece: Piece) -> bool:
        """Retry the record of a refusal, if there is room for it. Returns whether there was."""
        if len(self._pieces) >= MOST_REFUSALS:
            return False
        self.add(piece)
        return True

    async def run(self) -> None:
        """Retry again and again."""
        pause = FIRST_PAUSE
        while True:
            await self._some.wait()
            await asyncio.sleep(pause)
            if await self._try_all():
                log.info("audit trail is complete again")
                pause = FIRST_PAUSE
            else:
                pause = min(2 * pause, LONGEST_PAUSE)

    async def wait_until_empty(self) -> None:
        await self._none.wait()

    async def _try_all(self) -> bool:
        """Try one, and if it succeeds, the others. Returns whether none is left."""
        at_once = 1
        while self._pieces:
            pieces = [self._pieces[number] for number in range(min(at_once, len(self._pieces)))]
            failures = await self._try(pieces)
            # They are removed only now, so that a worker that ends in the meantime still has them. New ones
            # have been appended.
            for piece, failure in zip(pieces, failures, strict=True):
                self._pieces.popleft()
                if failure is not None:
                    # It is moved to the end, so that one that always fails does not block the others.
                    self._pieces.append(piece)
            problem = next((failure for failure in failures if failure is not None), None)
            if problem is not None:
                log.warning("audit trail is not complete", records=len(self._pieces), **log_fields(problem))
                return False
            at_once = _AT_ONCE
        self._some.clear()
        self._none.set()
        return True

    async def _try(self, pieces: Sequence[tuple[Piece, Iterable[str]]]) -> list[BaseException | None]:
        try:
            attempts = [
                asyncio.wrap_future(self._commits.submit(piece, locks=locks)) for piece, locks in pieces
            ]
        except Exception as problem:
            return [problem] * len(pieces)
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        return [outcome if isinstance(outcome, BaseException) else None for outcome in outcomes]
