"""What a process writes to SQLite is on the disk before it is over, and the disk works without the lock."""

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, event
from sqlalchemy.exc import DBAPIError
from tests.store.test_store import NOW

from hatchway.domain.host_token import HostToken
from hatchway.domain.identity import Group
from hatchway.store import Store, Transaction, TransactionEnded, explain, sqlite_writer, tables

TOKEN = HostToken(instance_id="i-1", token_hash=b"x", created_at=NOW)


def group(name: str) -> Group:
    return Group(name=name, id=f"AGPA{name}", path="/", created_at=NOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hatchway.db"


@pytest.fixture
def own(path: Path) -> Iterator[Store]:
    """An SQLite store, whatever the others are."""
    store = Store.open(f"sqlite:///{path}")
    store.migrate()
    yield store
    store.close()


class Disk:
    """One that is slow: each sync begins, and goes on when it is told to."""

    def __init__(self) -> None:
        self.syncs = 0
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def sync(self, file: int) -> None:
        self.syncs += 1
        self.begun.set()
        assert self.go_on.wait(30)


@pytest.fixture
def disk(own: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    with own.record():
        pass
    monkeypatch.setattr(sqlite_writer, "_sync", disk.sync)
    yield disk
    disk.go_on.set()


def write(store: Store, name: str) -> threading.Thread:
    def put() -> None:
        with store.write() as tx:
            tx.groups.put(group(name))

    thread = threading.Thread(target=put)
    thread.start()
    return thread


def names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM groups")}


def test_a_write_is_over_when_the_disk_has_it_and_others_write_meanwhile(
    own: Store, path: Path, disk: Disk
) -> None:
    writing = write(own, "first")
    assert disk.begun.wait(30)
    assert names(path) == {"first"}
    with closing(sqlite3.connect(path, timeout=0)) as other, other:
        other.execute("DELETE FROM tombstones")
    assert writing.is_alive()
    disk.go_on.set()
    writing.join()


def test_one_wait_for_the_disk_is_for_all_who_have_committed(own: Store, path: Path, disk: Disk) -> None:
    threads = [write(own, "first")]
    assert disk.begun.wait(30)
    threads += [write(own, f"group-{number}") for number in range(8)]
    while len(names(path)) < 9:
        time.sleep(0.01)
    disk.go_on.set()
    for thread in threads:
        thread.join()
    assert disk.syncs == 2


def test_what_a_disk_has_failed_to_write_is_not_relied_on(
    own: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(sqlite_writer, "_sync", fail)
        with pytest.raises(OSError) as caught, own.write() as tx:
            tx.groups.put(group("first"))
    told = explain(caught.value)
    assert told is not None and told.startswith("the store's disk does not read or write")
    # What the next one builds on is in the database by then, not in the log alone.
    with own.write() as tx:
        assert path.with_name("hatchway.db-wal").stat().st_size == 0
        assert tx.groups.get("first") is not None
        tx.groups.put(group("second"))
    assert names(path) == {"first", "second"}


@pytest.mark.parametrize("url", ["sqlite:///{link}", "sqlite:///file:{path}?uri=true"])
def test_the_log_is_found_beside_the_file_that_a_link_or_a_uri_leads_to(
    own: Store, path: Path, tmp_path: Path, url: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "linked.db"
    link.symlink_to(path)
    store = Store.open(url.format(link=link, path=path))
    with store.write() as tx:
        tx.groups.put(group("first"))
    store.close()
    assert names(path) == {"first"}


def test_nothing_is_committed_where_the_log_cannot_be_opened(
    own: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as few:
        few.setattr(os, "open", refuse)
        own.close()
        with pytest.raises(OSError), own.write() as tx:
            tx.groups.put(group("first"))
    assert names(path) == set()
    with own.write() as tx:
        tx.groups.put(group("second"))
    assert names(path) == {"second"}


def test_where_there_can_be_no_log_sqlite_itself_waits_for_the_disk(
    own: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(_place: Path, connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=FULL")

    own.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    monkeypatch.setattr("hatchway.store.engines._prepare_sqlite", prepare)
    store = Store.open(f"sqlite:///{path}")
    with store.write() as tx:
        tx.groups.put(group("first"))
        assert tx._connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    store.close()


def test_statements_of_sqlalchemy_and_those_for_the_driver_are_one_transaction(
    own: Store, path: Path
) -> None:
    def put(tx: Transaction) -> None:
        tx.groups.put(group("by-driver"))
        tx._connection.exec_driver_sql("INSERT INTO tombstones VALUES ('by', 'sqlalchemy', 0)")
        with tx.savepoint():
            tx.groups.put(group("within"))

    with pytest.raises(ZeroDivisionError), own.write() as tx:
        put(tx)
        raise ZeroDivisionError
    assert names(path) == set()
    with own.write() as tx:
        assert not tx.groups.find()
        put(tx)
    assert names(path) == {"by-driver", "within"}
    with own.record():
        pass


def test_a_commit_that_fails_undoes_all_and_the_next_one_does_not(own: Store, path: Path) -> None:
    def refuse(what: int, operation: str | None, *_: object) -> int:
        is_commit = what == sqlite3.SQLITE_TRANSACTION and operation == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    with pytest.raises(DBAPIError), own.write() as tx:
        tx.groups.put(group("first"))
        driver: Any = tx._connection.connection.driver_connection
        driver.set_authorizer(refuse)
    driver.set_authorizer(None)
    with own.write() as tx:
        assert tx.groups.get("first") is None
        tx.groups.put(group("second"))
    assert names(path) == {"second"}


def test_what_sqlite_has_ended_by_itself_is_not_taken_for_committed(own: Store, path: Path) -> None:
    with pytest.raises(TransactionEnded), own.write() as tx:
        tx.groups.put(group("first"))
        driver: Any = tx._connection.connection.driver_connection
        driver.execute("ROLLBACK")
    with own.write() as tx:
        tx.groups.put(group("second"))
    assert names(path) == {"second"}


@pytest.mark.parametrize(
    "go_on",
    [
        lambda tx: tx.groups.put(group("second")),
        lambda tx: tx.host_tokens.put(TOKEN, replace(TOKEN, instance_id="i-2")),
        lambda tx: tx.groups.delete("former"),
        lambda tx: tx.groups.find(),
        lambda tx: tx._connection.exec_driver_sql("DELETE FROM groups"),
        lambda tx: tx._connection.execute(delete(tables.groups)),
    ],
    ids=["one row", "several rows", "a deletion", "a question", "text", "SQLAlchemy"],
)
def test_whoever_goes_on_after_sqlite_has_ended_a_transaction_changes_nothing(
    own: Store, path: Path, go_on: Callable[[Transaction], object]
) -> None:
    with own.write() as tx:
        tx.groups.put(group("former"))
    own.close()

    @event.listens_for(own.engine, "connect")
    def fill_the_disk(connection: Any, _record: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 8}")

    with pytest.raises(TransactionEnded), own.write() as tx:
        tx.groups.put(group("first"))
        with pytest.raises(DBAPIError) as full:
            tx.host_tokens.put(replace(TOKEN, token_hash=bytes(1 << 20)))
        assert explain(full.value) == "the store's disk is full: free some space there"
        with pytest.raises(TransactionEnded):
            go_on(tx)
    assert names(path) == {"former"}
    with own.write() as tx:
        assert not tx.host_tokens.find()
        tx.groups.put(group("third"))
    assert names(path) == {"former", "third"}


def test_whoever_watches_commits_is_told_of_each_before_it_is_done(own: Store, path: Path) -> None:
    seen: list[set[str]] = []
    event.listen(own.engine, "commit", lambda _connection: seen.append(names(path)))
    for number, name in enumerate(("first", "second")):
        with own.write() as tx:
            tx.groups.put(group(name))
            if number:
                tx._connection.exec_driver_sql("SELECT 1")
    assert seen == [set(), {"first"}]


def test_a_statement_that_fails_within_the_driver_is_told_as_any_other(own: Store) -> None:
    with pytest.raises(DBAPIError), own.read() as tx:
        tx._connection.exec_driver_sql("PRAGMA query_only=1")
        tx.groups.delete("one")
