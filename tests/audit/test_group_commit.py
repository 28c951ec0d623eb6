"""Group commit: a piece is done when it is durable, fails alone, and is never lost."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tests.store.migrated import new_sqlite_store

from hatchway.audit import group_commit
from hatchway.audit.group_commit import Closed, GroupCommit
from hatchway.domain.host_token import HostToken
from hatchway.store import Store, Transaction, explain

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_sqlite_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()


def put(name: str) -> HostToken:
    return HostToken(instance_id=name, token_hash=b"x", created_at=NOW)


def putting(name: str) -> Callable[[Transaction], None]:
    return lambda tx: tx.host_tokens.put(put(name))


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.instance_id for row in tx.host_tokens.find()]


class Held:
    """A piece that keeps its commit open, so that what is submitted meanwhile goes together into the next."""

    def __init__(self, commits: GroupCommit) -> None:
        self._gate, started = threading.Event(), threading.Event()

        def hold(_tx: Transaction) -> None:
            started.set()
            self._gate.wait(30)

        self.future = commits.submit(hold)
        assert started.wait(30)

    def release(self) -> None:
        self._gate.set()


def test_a_piece_is_in_the_store_when_its_future_is_done(store: Store) -> None:
    commits = GroupCommit(store)

    def piece(tx: Transaction) -> str:
        tx.host_tokens.put(put("i-1"))
        return "done"

    assert commits.submit(piece).result(timeout=30) == "done"
    assert names(store) == ["i-1"]
    commits.close()


def test_a_piece_that_fails_is_undone_alone(store: Store) -> None:
    commits = GroupCommit(store)

    def bad(tx: Transaction) -> None:
        tx.host_tokens.put(put("i-bad"))
        raise ValueError("no")

    futures = [commits.submit(putting(f"i-{n}")) for n in range(3)]
    failing = commits.submit(bad)
    futures += [commits.submit(putting(f"i-{n}")) for n in range(3, 6)]
    with pytest.raises(ValueError, match="no"):
        failing.result(timeout=30)
    for future in futures:
        future.result(timeout=30)
    assert names(store) == [f"i-{n}" for n in range(6)]
    commits.close()


def test_what_waits_while_a_transaction_commits_goes_into_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[None] = []
    record = store.record

    def recording(**how: bool) -> AbstractContextManager[Transaction]:
        began.append(None)
        return record(**how)

    monkeypatch.setattr(store, "record", recording)
    commits = GroupCommit(store)
    first = Held(commits)
    futures = [commits.submit(putting(f"i-{n:03}")) for n in range(100)]
    first.release()
    for future in [first.future, *futures]:
        future.result(timeout=30)
    assert len(names(store)) == 100
    assert len(began) == 2  # the held one, and the hundred together
    commits.close()


def test_all_that_pieces_lock_is_locked_before_any_of_them_runs(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def telling(name: str) -> Callable[[Transaction], None]:
        return lambda _: told.append(name)

    monkeypatch.setattr(Transaction, "lock", lambda _, *names: told.append(set(names)))
    commits = GroupCommit(store)
    held = Held(commits)
    told.clear()
    ran = [commits.submit(telling(name), locks=[name, "all"]) for name in ("b", "a")]
    commits.submit(telling("none"))
    held.release()
    commits.close()
    assert [future.result() for future in ran] == [None, None]
    assert told == [{"a", "b", "all"}, "b", "a", "none"]


def test_a_lock_that_is_not_to_be_had_fails_those_alone_that_need_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lock(_: Transaction, *names: str) -> None:
        if "taken" in names:
            raise TimeoutError(names)

    monkeypatch.setattr(Transaction, "lock", lock)
    commits = GroupCommit(store)
    held = Held(commits)
    failing = [commits.submit(putting(name), locks=["taken", name]) for name in ("a", "b")]
    others = [commits.submit(putting("c"), locks=["free"]), commits.submit(putting("d"))]
    held.release()
    commits.close()
    assert all(isinstance(each.exception(), TimeoutError) for each in failing)
    assert [each.result() for each in others] == [None, None]
    assert names(store) == ["c", "d"]


def test_when_the_store_cannot_be_written_every_piece_learns_of_it(store: Store) -> None:
    commits = GroupCommit(store)
    with store.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE host_tokens")
        connection.commit()
    future = commits.submit(putting("i-1"))
    with pytest.raises(Exception, match="host_tokens"):
        future.result(timeout=30)
    commits.close()


def test_a_full_disk_fails_every_piece_that_it_undoes(store: Store) -> None:
    @event.listens_for(store.engine, "connect")
    def fill_the_disk(connection: Any, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 8}")

    store.engine.dispose()
    commits = GroupCommit(store)
    held = Held(commits)

    def large(tx: Transaction) -> None:
        tx.host_tokens.put(replace(put("i-large"), token_hash=bytes(1 << 20)))

    # SQLite undoes all of the transaction, the piece before the large one too.
    futures = [commits.submit(piece) for piece in (putting("i-1"), large, putting("i-2"))]
    held.release()
    for future in futures:
        failure = future.exception(timeout=30)
        assert failure is not None
        assert explain(failure) == "the store's disk is full: free some space there"
    assert names(store) == []
    commits.close()


def test_closing_commits_what_was_queued_and_takes_no_more(store: Store) -> None:
    commits = GroupCommit(store)
    for n in range(50):
        commits.submit(putting(f"i-{n:03}"))
    commits.close()
    assert len(names(store)) == 50
    with pytest.raises(Closed):
        commits.submit(lambda tx: None)


def test_a_piece_that_nobody_waits_for_any_more_stops_nothing(store: Store) -> None:
    commits = GroupCommit(store)
    under_way = Held(commits)
    abandoned = commits.submit(putting("i-abandoned"))
    assert not under_way.future.cancel()
    assert abandoned.cancel()
    under_way.release()
    commits.submit(putting("i-1")).result(timeout=30)
    assert names(store) == ["i-1"]
    commits.close()


class Book:
    """Enters host tokens, except one named `i-bad`; remembers how many it was given at once."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, tx: Transaction, entries: Sequence[str]) -> list[str]:
        self.calls.append(len(entries))
        tx.host_tokens.put_all(put(name) for name in entries)
        if "i-bad" in entries:
            raise ValueError("no")
        return [f"entered {name}" for name in entries]


def test_a_book_gets_all_that_came_for_one_commit_at_once(store: Store) -> None:
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        held = Held(commits)
        entered = [commits.enter(book, f"i-{n:02}") for n in range(20)]
        held.release()
        assert await asyncio.gather(*entered) == [f"entered i-{n:02}" for n in range(20)]

    asyncio.run(test())
    assert book.calls == [20]
    assert len(names(store)) == 20
    commits.close()


def test_an_event_loop_is_woken_once_for_all_that_it_has_in_a_commit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, book = GroupCommit(store), Book()
    wakings: list[None] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe

        def count(*arguments: Any, **keywords: Any) -> asyncio.Handle:
            wakings.append(None)
            return wake(*arguments, **keywords)

        monkeypatch.setattr(loop, "call_soon_threadsafe", count)
        held = Held(commits)
        entered = [commits.enter(book, f"i-{n:02}") for n in range(20)]
        held.release()
        await asyncio.gather(*entered)
        assert len(wakings) == 1

    asyncio.run(test())
    commits.close()


def test_an_entry_that_fails_is_undone_alone(store: Store) -> None:
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        held = Held(commits)
        entered = [commits.enter(book, name) for name in ("i-1", "i-bad", "i-2")]
        held.release()
        first, bad, second = await asyncio.gather(*entered, return_exceptions=True)
        assert (first, second) == ("entered i-1", "entered i-2")
        assert isinstance(bad, ValueError)

    asyncio.run(test())
    assert names(store) == ["i-1", "i-2"]
    commits.close()


def test_an_entry_that_is_cancelled_before_its_commit_is_not_entered(store: Store) -> None:
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        held = Held(commits)
        abandoned, kept = commits.enter(book, "i-abandoned"), commits.enter(book, "i-1")
        abandoned.cancel()
        held.release()
        assert await kept == "entered i-1"

    asyncio.run(test())
    assert names(store) == ["i-1"]
    commits.close()


def test_an_entry_that_was_given_up_before_its_commit_is_not_entered(store: Store) -> None:
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        held = Held(commits)
        given_up, kept = commits.enter(book, "i-given-up"), commits.enter(book, "i-1")
        given_up.set_exception(TimeoutError())
        held.release()
        assert await kept == "entered i-1"
        with pytest.raises(TimeoutError):
            await given_up

    asyncio.run(test())
    assert names(store) == ["i-1"]
    commits.close()


def test_an_entry_to_be_made_regardless_is_made_although_it_is_cancelled(store: Store) -> None:
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        held = Held(commits)
        left, kept = commits.enter(book, "i-left", regardless=True), commits.enter(book, "i-1")
        left.cancel()
        held.release()
        assert await kept == "entered i-1"

    asyncio.run(test())
    assert names(store) == ["i-1", "i-left"]
    commits.close()


def test_an_entry_that_is_cancelled_within_its_commit_stops_nothing(store: Store) -> None:
    commits = GroupCommit(store)
    began, gate = threading.Event(), threading.Event()

    def slow(tx: Transaction, entries: Sequence[str]) -> list[None]:
        began.set()
        gate.wait(30)
        tx.host_tokens.put_all(put(name) for name in entries)
        return [None] * len(entries)

    async def test() -> None:
        abandoned = commits.enter(slow, "i-abandoned")
        await asyncio.to_thread(began.wait, 30)
        abandoned.cancel()
        gate.set()
        await commits.enter(slow, "i-1")

    asyncio.run(test())
    assert names(store) == ["i-1", "i-abandoned"]
    commits.close()


def test_a_patient_entry_goes_with_the_next_that_is_not(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 3600.0)
    commits, calls = GroupCommit(store), list[tuple[str, list[str]]]()

    def end(_tx: Transaction, entries: Sequence[str]) -> list[None]:
        calls.append(("end", list(entries)))
        return [None] * len(entries)

    def open_(_tx: Transaction, entries: Sequence[str]) -> list[None]:
        calls.append(("open", list(entries)))
        return [None] * len(entries)

    async def test() -> None:
        held = Held(commits)
        first = commits.enter(open_, "1")
        ends = [commits.enter(end, name, patient=True) for name in ("a", "b")]
        second = commits.enter(open_, "2")
        held.release()
        await asyncio.gather(first, *ends, second)
        # Whatever it is that comes next, and when nothing does, the end.
        third = commits.enter(end, "c", patient=True)
        await asyncio.wrap_future(commits.submit(lambda tx: None))
        await third
        commits.enter(end, "d", patient=True)
        await asyncio.to_thread(commits.close)

    asyncio.run(test())
    assert calls == [("open", ["1", "2"]), ("end", ["a", "b"]), ("end", ["c"]), ("end", ["d"])]


def test_patient_entries_that_nothing_else_comes_for_are_entered_by_themselves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 0.02)
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        # The timer that begins with the first finds another there, whose time is not up.
        first = commits.enter(book, "i-1", patient=True)
        await commits.enter(book, "i-2")
        await first
        assert await commits.enter(book, "i-3", patient=True) == "entered i-3"
        assert await commits.enter(book, "i-4", patient=True) == "entered i-4"

    asyncio.run(test())
    assert book.calls == [2, 1, 1]
    commits.close()


def test_so_many_patient_entries_wait_for_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 3600.0)
    monkeypatch.setattr(group_commit, "_MOST_AT_ONCE", 3)
    commits, book = GroupCommit(store), Book()

    async def test() -> None:
        await asyncio.gather(*(commits.enter(book, f"i-{n}", patient=True) for n in range(3)))

    asyncio.run(test())
    assert names(store) == ["i-0", "i-1", "i-2"]
    commits.close()
    with pytest.raises(Closed):
        asyncio.run(_patient(commits, book))


async def _patient(commits: GroupCommit, book: Book) -> None:
    commits.enter(book, "i-late", patient=True)


def test_an_event_loop_that_ends_before_the_commit_stops_nothing(store: Store) -> None:
    commits, book = GroupCommit(store), Book()
    held = Held(commits)

    async def leave() -> None:
        commits.enter(book, "i-1")

    asyncio.run(leave())
    held.release()
    commits.submit(putting("i-2")).result(timeout=30)
    assert names(store) == ["i-1", "i-2"]
    commits.close()


def test_when_the_store_cannot_be_written_every_coroutine_learns_of_it(store: Store) -> None:
    commits, book = GroupCommit(store), Book()
    with store.engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE host_tokens")
        connection.commit()

    async def test() -> None:
        entered = [commits.enter(book, f"i-{n}") for n in range(3)]
        for failure in await asyncio.gather(*entered, return_exceptions=True):
            assert "host_tokens" in str(failure)

    asyncio.run(test())
    with pytest.raises(Exception, match="host_tokens"):
        commits.submit(putting("i-1")).result(timeout=30)
    commits.close()
