"""PostgreSQL tells of a change, and SQLite's file shows one, so that nobody has to ask all the time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import uvloop
from sqlalchemy import Engine, create_engine, text
from structlog.testing import capture_logs

from hatchway.domain.identity import SealedSecret, User
from hatchway.store import ChangeNotifications, Store
from hatchway.store.change_feed.notifications import INTERVAL, POLLING_INTERVAL
from hatchway.store.change_feed.write_ahead_log import INTERVAL as LOG_INTERVAL
from hatchway.store.change_feed.write_ahead_log import WATCHED_INTERVAL

HOUR = 3600.0
TIMEOUT = 30.0
"""Seconds after which a notification does not come."""

A_WHILE = 0.4
"""Seconds in which one would have come."""

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


@pytest.fixture(autouse=True)
def only_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock."""
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", HOUR)
    monkeypatch.setattr("hatchway.store.change_feed.notifications.POLLING_INTERVAL", HOUR)


@pytest.fixture
def store(postgresql: Callable[[], str]) -> Iterator[Store]:
    opened = Store.open(postgresql())
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def administration(store: Store) -> Iterator[Engine]:
    """The server's superuser, in another database than the store's."""
    engine = create_engine(store.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def with_notifications(store: Store, work: Callable[[ChangeNotifications], Awaitable[None]]) -> None:
    """Do this from when changes are being told."""

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT), store.notifications() as notifications:
            await notifications.next()
            await work(notifications)

    uvloop.run(run())


async def assert_silence(notified: asyncio.Task[None]) -> None:
    done, _ = await asyncio.wait([notified], timeout=A_WHILE)
    assert not done


def put(store: Store, name: str) -> None:
    with store.write() as tx:
        tx.users.put(User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW))


@contextmanager
def cut_off(store: Store, administration: Engine) -> Iterator[None]:
    """Ends the one connection that listens. Within it, no new one can be made."""
    database = store.engine.url.database
    listening = f"datname = '{database}' AND query LIKE 'LISTEN %'"
    with administration.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        end = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {listening}")
        assert connection.execute(end).scalars().all() == [True]
        yield
        connection.exec_driver_sql(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


def test_no_pause_is_longer_than_the_second_within_which_a_change_is_to_count() -> None:
    """SECURITY.md promises it; the longest pauses are for where all that has changed is told."""
    assert INTERVAL + POLLING_INTERVAL < 1
    assert LOG_INTERVAL + WATCHED_INTERVAL < 1


def test_a_change_is_told_when_it_is_committed_and_not_before(store: Store) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        notified = asyncio.create_task(notifications.next())
        with store.write() as tx:
            tx.users.put(User(name="alice", id="AIDA1", path="/", created_at=NOW))
            await assert_silence(notified)
        await notified
        assert store.revision() == 1

    with_notifications(store, work)


def test_what_no_gateway_follows_and_what_is_undone_are_not_told(store: Store) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        notified = asyncio.create_task(notifications.next())
        with store.record() as tx:
            tx.sealed_secrets.put(SealedSecret(access_key_id="AKIA1", ciphertext=b"x"))
        with pytest.raises(ZeroDivisionError), store.write() as tx:
            tx.users.put(User(name="alice", id="AIDA1", path="/", created_at=NOW))
            raise ZeroDivisionError
        await assert_silence(notified)
        put(store, "bob")
        await notified

    with_notifications(store, work)


def test_many_changes_at_once_are_few_notifications(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.notifications.INTERVAL", HOUR)

    async def work(notifications: ChangeNotifications) -> None:
        notified = asyncio.create_task(notifications.next())
        for number in range(10):
            await asyncio.to_thread(put, store, f"user{number}")
        await assert_silence(notified)

    with_notifications(store, work)


def test_a_listening_connection_that_was_ended_is_made_again_and_what_it_missed_is_looked_for(
    store: Store, administration: Engine
) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        with cut_off(store, administration):
            # It has been noticed: whoever waited so far looks by the clock from now on.
            await notifications.next()
            notified = asyncio.create_task(notifications.next())
            put(store, "alice")
            await assert_silence(notified)
        await notified
        notified = asyncio.create_task(notifications.next())
        await assert_silence(notified)
        put(store, "bob")
        await notified

    with_notifications(store, work)


def test_the_store_is_looked_at_more_often_while_it_cannot_tell(
    store: Store, administration: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        notified = asyncio.create_task(notifications.next())
        await assert_silence(notified)
        monkeypatch.setattr("hatchway.store.change_feed.notifications.POLLING_INTERVAL", 0.01)
        with cut_off(store, administration):
            await notified
            for _ in range(5):
                await notifications.next()

    with_notifications(store, work)


@contextmanager
def queue_used_to(store: Store) -> Iterator[Callable[[float], None]]:
    """Has the server say of its queue of notifications, of 8 GB, that such a part of it is used: none yet."""
    database = store.engine.url.database
    with store.engine.begin() as connection:
        for statement in (
            "CREATE SCHEMA pretended CREATE TABLE used (part float)",
            "INSERT INTO pretended.used VALUES (0)",
            "CREATE FUNCTION pretended.pg_notification_queue_usage() RETURNS float LANGUAGE sql"
            " AS 'SELECT part FROM pretended.used'",
            f"ALTER DATABASE {database} SET search_path = pretended, pg_catalog, public",
        ):
            connection.exec_driver_sql(statement)
    store.engine.dispose()

    def use(part: float) -> None:
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE pretended.used SET part = :part"), {"part": part})

    yield use


def test_where_the_queue_of_notifications_fills_up_changes_are_committed_and_not_told(store: Store) -> None:
    with queue_used_to(store) as use:

        async def work(notifications: ChangeNotifications) -> None:
            notified = asyncio.create_task(notifications.next())
            use(0.5)
            put(store, "alice")
            await assert_silence(notified)
            assert store.revision() == 1
            use(0.49)
            put(store, "bob")
            await notified

        with_notifications(store, work)


def test_it_is_said_when_nobody_is_told_of_changes_for_want_of_room_in_the_queue(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", 0.01)

    async def said(logs: Sequence[Mapping[str, Any]], number: int) -> None:
        for _ in range(3_000):
            if len(logs) == number:
                return
            await asyncio.sleep(0.01)

    async def work(notifications: ChangeNotifications) -> None:
        with capture_logs() as logs, queue_used_to(store) as use:
            # Who listens does so by a connection of before.
            with store.engine.begin() as connection:
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %%'"
                )
            await said(logs, 2)
            use(0.7)
            await said(logs, 3)
            use(0)
            await said(logs, 4)
        assert [line["event"] for line in logs] == [
            "store does not tell of changes",
            "store tells of changes again",
            "store does not tell of changes",
            "store tells of changes again",
        ]
        assert "70% full" in logs[2]["problem"]
        assert "pg_stat_activity" in logs[2]["remedy"]

    with_notifications(store, work)


def test_nothing_listens_any_more_afterwards(store: Store, administration: Engine) -> None:
    async def work(_: ChangeNotifications) -> None:
        pass

    with_notifications(store, work)
    listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
    with administration.connect() as connection:
        for _ in range(100):
            if connection.execute(text(listening)).scalar_one() == 0:
                return
            connection.execute(text("SELECT pg_sleep(0.1)"))
    pytest.fail("it still listens")
