"""A database server that hangs: who waits for it gives up, and is free again."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from tests.store.postgresql_server import PostgresqlServer

from hatchway.store import Store, explain, read_timeout

READ_TIMEOUT = 1.0


@pytest.fixture
def url(migrated_postgresql: Callable[[], str]) -> str:
    return f"{migrated_postgresql()}&connect_timeout=2"


@pytest.fixture
def store(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(read_timeout, "IDLE_SECONDS", READ_TIMEOUT / 2)
    opened = Store.open(url, read_timeout=READ_TIMEOUT)
    yield opened
    opened.close()


def run(store: Store, statement: str) -> None:
    with store.read() as tx:
        tx._connection.execute(text(statement)).all()


def test_a_statement_under_way_ends_and_the_store_is_used_again_when_the_server_goes_on(
    store: Store, database_server: PostgresqlServer
) -> None:
    with pytest.raises(OperationalError) as failed, store.read() as tx:
        tx._connection.execute(text("SELECT 1"))
        with database_server.suspended():
            tx._connection.execute(text("SELECT 1"))
    assert "the store does not answer" in str(explain(failed.value))
    assert store.revision() >= 0


def test_what_was_not_in_use_is_not_waited_for_and_nor_is_a_new_connection(
    store: Store, database_server: PostgresqlServer
) -> None:
    store.revision()
    with database_server.suspended():
        for _ in range(2):
            with pytest.raises(OperationalError) as failed:
                store.revision()
            assert explain(failed.value) is not None
    assert store.revision() >= 0


def test_all_threads_that_wait_are_free_again(store: Store, database_server: PostgresqlServer) -> None:
    problems: list[Exception] = []

    def use() -> None:
        try:
            with store.record():
                pass
        except OperationalError as problem:
            problems.append(problem)

    threads = [threading.Thread(target=use, daemon=True) for _ in range(8)]
    with database_server.suspended():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(problems) == len(threads)


def test_a_statement_that_is_given_up_does_not_go_on_in_the_server(store: Store, url: str) -> None:
    with pytest.raises(OperationalError):
        run(store, "SELECT pg_sleep(600)")
    others = Store.open(url)
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active'"
        " AND pid <> pg_backend_pid()"
    )
    until = time.monotonic() + 30
    with others.engine.connect() as connection:
        while connection.execute(query).scalar_one():
            connection.rollback()
            assert time.monotonic() < until
            time.sleep(0.05)
    others.close()


def test_answers_that_come_bit_by_bit_are_waited_for(store: Store) -> None:
    """However long they take in all."""
    run(store, "SELECT repeat('x', 20000), pg_sleep(0.3) FROM generate_series(1, 8)")


def test_who_asks_by_hand_waits_as_long_as_it_takes(url: str) -> None:
    opened = Store.open(url)
    run(opened, f"SELECT pg_sleep({2 * READ_TIMEOUT})")
    opened.close()
