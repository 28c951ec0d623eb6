"""When to look at the store's revision: when SQLite's file has changed, or PostgreSQL tells of a change.

A notification is only a hint. Whoever gets one asks for the revision and catches up with it. So one too many
costs a query, and one that is lost costs the time until the next.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import structlog
from sqlalchemy.exc import OperationalError

from hatchway.store.change_feed.write_ahead_log import WriteAheadLog
from hatchway.store.pooler import pools_by_transaction
from hatchway.store.problems import log_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from psycopg import AsyncConnection
    from sqlalchemy import Engine

CHANNEL: Final = "hatchway_feed"
"""Of PostgreSQL's NOTIFY, sent by each transaction that bumps the revision."""

QUEUE_LIMIT: Final = 0.5
"""The part of the server's one queue of notifications, of all its databases, from which on none is sent. A
session that listens, and stays in a transaction, keeps all that came since; when the queue is full, whoever
has something to tell cannot commit (PostgreSQL: "NOTIFY")."""

QUEUE_USAGE: Final = "SELECT pg_notification_queue_usage()"

INTERVAL: Final = 0.1
"""Seconds between two notifications."""

LISTENING_INTERVAL: Final = 5.0
"""Seconds after which to look although PostgreSQL, which is being listened to, has told nothing."""

POLLING_INTERVAL: Final = 0.5
"""Seconds between two looks while PostgreSQL cannot be listened to, and the store is polled."""

_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
"""Seconds before the next attempt to listen: twice as many after each that was soon over (exponential
backoff)."""

log = structlog.get_logger("hatchway.store")


class ChangeNotifications(Protocol):
    """Says when to look. For one task."""

    async def next(self) -> None:
        """Return when it is time to look."""


@asynccontextmanager
async def change_notifications(engine: Engine) -> AsyncIterator[ChangeNotifications]:
    """Of a database, while in the context."""
    if engine.dialect.name != "postgresql":
        with closing(WriteAheadLog(Path(str(engine.url.database)))) as written:
            yield written
        return
    notify = _Notify(engine)
    listening = asyncio.create_task(notify.listen())
    try:
        yield notify
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


class _Notify:
    """Of a PostgreSQL server (NOTIFY), received over a connection that does nothing else."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._notified = asyncio.Event()
        self._interval = POLLING_INTERVAL
        self._warned = self._full = False
        self._not_before = 0.0

    async def next(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._interval):
                await self._notified.wait()
        # Many changes at once are one look.
        now = asyncio.get_running_loop().time
        await asyncio.sleep(self._not_before - now())
        self._not_before = now() + INTERVAL
        self._notified.clear()

    async def listen(self) -> None:
        """Listen for ever, by one connection after the other."""
        now = asyncio.get_running_loop().time
        pause = _SHORTEST_PAUSE
        pooled: bool | None = None
        while True:
            began = now()
            try:
                if pooled is None:
                    pooled = await asyncio.to_thread(pools_by_transaction, self._engine)
                if pooled:
                    log.info(
                        "store is asked for changes",
                        looks_every=POLLING_INTERVAL,
                        reason="it is behind a pooler of connections that pools by transaction, so that it"
                        " cannot tell of them",
                    )
                    return
                await self._listen_once()
            except Exception as problem:
                if not self._warned:
                    log.warning(
                        "store does not tell of changes", looks_every=POLLING_INTERVAL, **_fields(problem)
                    )
                self._warned = True
            pause = _SHORTEST_PAUSE if now() - began > _LONGEST_PAUSE else min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause)

    async def _listen_once(self) -> None:
        """Listen by one connection until it breaks.

        Raises:
            psycopg.Error: it cannot be made, or has broken.
        """
        from psycopg import AsyncConnection

        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        connection = await AsyncConnection.connect(*arguments, **options, autocommit=True)
        try:
            await connection.execute(f"LISTEN {CHANNEL}")
            self._interval = LISTENING_INTERVAL
            # For what was told before.
            self._notified.set()
            if self._warned:
                log.info("store tells of changes again")
                self._warned = False
            while True:
                async for _ in connection.notifies(timeout=LISTENING_INTERVAL):
                    self._notified.set()
                await self._look_at_queue(connection)
        finally:
            self._interval = POLLING_INTERVAL
            self._notified.set()
            await connection.close()

    async def _look_at_queue(self, connection: AsyncConnection) -> None:
        """Has changes looked for more often while nobody tells of them, for want of room in the queue."""
        cursor = await connection.execute(QUEUE_USAGE)
        ((usage,),) = await cursor.fetchall()
        full = usage >= QUEUE_LIMIT
        if full and not self._full:
            problem, remedy = queue_problem(usage)
            log.warning(
                "store does not tell of changes",
                looks_every=POLLING_INTERVAL,
                problem=problem,
                remedy=remedy,
            )
        elif self._full and not full:
            log.info("store tells of changes again")
            self._notified.set()
        self._full = full
        self._interval = POLLING_INTERVAL if full else LISTENING_INTERVAL


def queue_problem(usage: float) -> tuple[str, str]:
    """What a queue of notifications means that is used to such a part, and what to do."""
    return (
        f"PostgreSQL's notification queue is {usage:.0%} full, so gateways are not notified of changes: they"
        " poll twice a second",
        "end the session that listens (LISTEN) and stays in a transaction, in whichever database:"
        " PostgreSQL's own log names it, and so does SELECT pid, datname, usename, xact_start FROM"
        " pg_stat_activity WHERE state LIKE 'idle in transaction%'",
    )


def _fields(problem: Exception) -> dict[str, object]:
    from psycopg import OperationalError as DriverProblem

    if isinstance(problem, DriverProblem):
        return log_fields(OperationalError(f"LISTEN {CHANNEL}", None, problem))
    return log_fields(problem)
