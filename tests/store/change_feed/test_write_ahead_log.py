"""SQLite's file shows a change, so that nobody has to ask all the time."""

import asyncio
import os
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvloop

from hatchway.domain.identity import User
from hatchway.store import ChangeNotifications, Store
from hatchway.store.change_feed.inotify import Inotify
from hatchway.store.change_feed.write_ahead_log import WriteAheadLog

HOUR = 3600.0
TIMEOUT = 30.0
"""Seconds after which a notification does not come."""

A_WHILE = 0.4
"""Seconds in which one would have come."""

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


def no_watch() -> Inotify:
    raise OSError("Too many open files")


@pytest.fixture(params=["watched", "looked at"])
def in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Store]:
    """A store, of whose file the system tells or not; the shortest pauses, and the longest is no end."""
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.INTERVAL", 0.001)
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.COMMIT_INTERVAL", 0.001)
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.QUIET_INTERVAL", HOUR)
    if request.param == "watched":
        monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.WATCHED_INTERVAL", HOUR)
    else:
        monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.Inotify", no_watch)
    opened = Store.open(f"sqlite:///{tmp_path / 'hatchway.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def other(in_a_file: Store) -> Iterator[Store]:
    """The same store, as another process has it."""
    opened = Store.open(in_a_file.engine.url.render_as_string())
    yield opened
    opened.close()


def with_notifications(store: Store, work: Callable[[ChangeNotifications], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(TIMEOUT), store.notifications() as notifications:
            await notifications.next()
            await work(notifications)

    uvloop.run(run())


async def come_to_rest(notifications: ChangeNotifications) -> None:
    """Until the last change was so long ago that nobody looks for a while when nothing is told."""
    for _ in range(1_000):
        try:
            async with asyncio.timeout(A_WHILE):
                await notifications.next()
        except TimeoutError:
            return
    pytest.fail("it never rests")


def put(store: Store, name: str) -> None:
    with store.write() as tx:
        tx.users.put(User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW))


def test_a_change_by_another_process_is_told_and_nothing_else_is(in_a_file: Store, other: Store) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        for number in range(5):
            await come_to_rest(notifications)
            notified = asyncio.create_task(notifications.next())
            assert in_a_file.revision() == number
            await asyncio.sleep(0.01)
            assert not notified.done()
            put(other, f"user{number}")
            await notified
            assert in_a_file.revision() == number + 1

    with_notifications(in_a_file, work)


def test_no_change_is_missed_however_they_follow_each_other(in_a_file: Store, other: Store) -> None:
    random = Random(7)

    async def work(notifications: ChangeNotifications) -> None:
        for number in range(100):
            await asyncio.to_thread(put, other, f"user{number}")
            await asyncio.sleep(random.choice([0, 0, 0.001, 0.01, 0.06]))
            if number % 3 == 0:
                # The file begins anew.
                with other.engine.connect() as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            while in_a_file.revision() <= number:
                await notifications.next()

    with_notifications(in_a_file, work)


def test_a_log_that_another_takes_the_place_of_is_told_of_as_well(in_a_file: Store, tmp_path: Path) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        await come_to_rest(notifications)
        log = tmp_path / "hatchway.db-wal"
        log.rename(tmp_path / "former")
        await notifications.next()
        log.write_bytes(b"")
        await come_to_rest(notifications)
        notified = asyncio.create_task(notifications.next())
        await asyncio.sleep(0.01)
        assert not notified.done()
        log.write_bytes(b"another's")
        await notified

    with_notifications(in_a_file, work)


def test_a_change_that_can_be_read_only_long_after_it_was_written_is_told_of_then(
    in_a_file: Store, tmp_path: Path
) -> None:
    # It stays open: to close it would take away the locks that SQLite has on it.
    index = os.open(tmp_path / "hatchway.db-shm", os.O_RDWR)

    async def work(notifications: ChangeNotifications) -> None:
        await come_to_rest(notifications)
        # As when the disk holds a commit up: it is written, and nobody can read it yet.
        with (tmp_path / "hatchway.db-wal").open("ab") as log:
            log.write(b"a frame that is not valid yet")
        await come_to_rest(notifications)
        notified = asyncio.create_task(notifications.next())
        await asyncio.sleep(0.01)
        assert not notified.done()
        # The count of changes ("WAL-mode File Format", 2.1).
        (changes,) = struct.unpack("=I", os.pread(index, 4, 8))
        os.pwrite(index, struct.pack("=I", changes + 1), 8)
        await notified

    with_notifications(in_a_file, work)


def test_a_change_that_has_been_told_of_is_not_told_of_again(in_a_file: Store, other: Store) -> None:
    async def work(notifications: ChangeNotifications) -> None:
        await come_to_rest(notifications)
        await asyncio.to_thread(put, other, "user")
        await notifications.next()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(A_WHILE):
                await notifications.next()

    with_notifications(in_a_file, work)


def test_a_change_is_looked_for_again_and_again_where_no_index_says_what_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.INTERVAL", 0.001)
    (tmp_path / "hatchway.db-wal").write_bytes(b"")
    watched = WriteAheadLog(tmp_path / "hatchway.db")

    async def run() -> None:
        await watched.next()
        await asyncio.sleep(0.1)
        with (tmp_path / "hatchway.db-wal").open("ab") as log:
            log.write(b"a frame that is not valid yet")
        waited = [0.0]
        now = asyncio.get_running_loop().time
        began = now()
        while now() - began < A_WHILE:
            await watched.next()
            waited.append(now() - began)
        # Never later than about twice as long after it was written as it took to be committed.
        assert len(waited) > 5

    asyncio.run(run())
    watched.close()


def test_a_file_that_may_change_again_without_showing_it_is_no_sign_of_rest_without_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.INTERVAL", 0.001)
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.QUIET_INTERVAL", HOUR)
    (tmp_path / "hatchway.db-wal").write_bytes(b"")
    watched = WriteAheadLog(tmp_path / "hatchway.db")

    async def run() -> None:
        # As when it has been written this very moment, or the clock was set back.
        os.utime(tmp_path / "hatchway.db-wal", (time.time() + HOUR, time.time() + HOUR))
        for _ in range(20):
            async with asyncio.timeout(TIMEOUT):
                await watched.next()

    asyncio.run(run())
    watched.close()


def test_who_is_cancelled_just_when_it_is_time_to_look_has_nothing_fail(
    in_a_file: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.write_ahead_log.INTERVAL", 0.0)
    failed: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, problem: failed.append(problem))
        async with in_a_file.notifications() as notifications:
            waiting = asyncio.ensure_future(notifications.next())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            # The loop makes this call before that of a timer that is due then.
            loop.call_soon(waiting.cancel)
            await asyncio.wait([waiting])
            assert waiting.cancelled()

    asyncio.run(run())
    assert failed == []
