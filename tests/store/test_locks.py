"""Who records in PostgreSQL waits for nobody but whom it decides the same with, and never for his disk."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from hatchway.domain.tunnel import GatewayWorker
from hatchway.store import Store

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)
TIMEOUT = 30.0


@pytest.fixture(scope="module")
def url(migrated_postgresql: Callable[[], str]) -> str:
    return migrated_postgresql()


@pytest.fixture
def stores(url: str) -> Iterator[tuple[Store, Store]]:
    """Two, the second of which waits for a lock for no longer than a moment."""
    with ExitStack() as stack:
        patient = stack.enter_context(closing(Store.open(url)))
        hasty = stack.enter_context(closing(Store.open(f"{url}&options=-c%20lock_timeout%3D50")))
        yield patient, hasty


def worker(worker_id: str) -> GatewayWorker:
    return GatewayWorker(id=worker_id, host="h", port=443, started_at=NOW, lease_until=NOW)


def test_two_record_at_the_same_time(stores: tuple[Store, Store]) -> None:
    one, other = stores
    with one.record() as tx:
        tx.lock("endpoint eice-1")
        tx.gateway_workers.put(worker("gw-1"))
        with other.record() as beside:
            beside.lock("endpoint eice-2", "principal AIDA1")
            beside.gateway_workers.put(worker("gw-2"))
    with one.read() as tx:
        assert tx.gateway_workers.count() == 2


@pytest.mark.parametrize("names", [["endpoint eice-1"], ["principal AIDA1", "endpoint eice-1"]])
def test_what_one_has_locked_no_other_does_until_it_is_committed(
    stores: tuple[Store, Store], names: list[str]
) -> None:
    one, other = stores
    with one.record() as tx:
        tx.lock("endpoint eice-1")
        with pytest.raises(OperationalError, match="lock timeout"), other.record() as beside:
            beside.lock(*names)
    with other.record() as beside:
        beside.lock(*names)


def test_no_two_wait_for_each_other_in_whatever_order_they_name_things(url: str) -> None:
    names = [f"endpoint eice-{number}" for number in range(50)]
    done: list[int] = []

    def record(number: int) -> None:
        with closing(Store.open(url)) as store:
            for _ in range(5):
                with store.record() as tx:
                    tx.lock(*(names if number % 2 else reversed(names)))
            done.append(number)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4


@contextmanager
def waiting_for_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody has recorded under a lock, and what he has committed is not on the disk until this is over."""
    monkeypatch.setattr("hatchway.store.store.MAKE_DURABLE", "SELECT pg_advisory_xact_lock(7)")
    returned = threading.Event()

    def record() -> None:
        with store.record() as tx:
            tx.lock("endpoint eice-1")
            tx.gateway_workers.put(worker("gw-slow"))
        returned.set()

    thread = threading.Thread(target=record)
    with store.engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(7)"))
        thread.start()
        waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        while not connection.execute(waits).scalar_one():
            pass
        yield
        assert not returned.is_set()
    assert returned.wait(TIMEOUT)
    thread.join()


def test_while_one_waits_for_the_disk_others_count_what_he_has_entered(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = stores
    with waiting_for_the_disk(one, monkeypatch), other.write() as beside:
        beside.lock("endpoint eice-1")
        assert beside.gateway_workers.get("gw-slow") is not None


def test_what_is_recorded_under_a_lock_is_on_the_disk_when_it_is_done(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    for number in range(20):
        with store.record() as tx:
            tx.lock("endpoint eice-1")
            tx.gateway_workers.put(worker(f"gw-{number}"))
            written = tx._connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn()").scalar_one()
        with store.engine.connect() as connection:
            flushed = connection.execute(text("SELECT pg_current_wal_flush_lsn() > :lsn"), {"lsn": written})
            assert flushed.scalar_one()
            # Connections are as they were for whoever has them next.
            assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        with pytest.raises(ZeroDivisionError), store.record() as tx:
            tx.gateway_workers.put(worker("gw-undone"))
            raise ZeroDivisionError
    with store.read() as tx:
        assert tx.gateway_workers.get("gw-undone") is None


def test_programs_of_before_record_under_one_lock_that_those_of_now_respect(
    stores: tuple[Store, Store],
) -> None:
    one, other = stores
    former = text("SELECT pg_advisory_xact_lock(1214346340)")
    with one.engine.begin() as connection:
        connection.execute(former)
        with pytest.raises(OperationalError, match="lock timeout"), other.record() as tx:
            tx.lock("endpoint eice-1")
    with one.record() as tx:
        tx.lock("endpoint eice-1")
        with pytest.raises(OperationalError, match="lock timeout"), other.engine.begin() as connection:
            connection.execute(former)


@pytest.mark.parametrize("in_pipeline", [False, True], ids=["each", "in a pipeline"])
def test_a_databases_own_defaults_change_nothing_of_what_is_seen_after_a_lock(
    migrated_postgresql: Callable[[], str], *, in_pipeline: bool
) -> None:
    """With `repeatable read` an opening would count what there was before it waited."""
    url = migrated_postgresql()
    with closing(Store.open(url)) as store, store.engine.begin() as connection:
        for setting in (
            "default_transaction_isolation = 'repeatable read'",
            "datestyle = 'German'",
            "client_encoding = 'LATIN1'",
        ):
            connection.exec_driver_sql(f"ALTER DATABASE {store.engine.url.database} SET {setting}")
    with closing(Store.open(url)) as store:
        seen: list[int] = []
        began = threading.Event()

        def second() -> None:
            with store.record(in_pipeline=in_pipeline) as tx:
                # As whatever comes first: with it the transaction has its view.
                tx.position()
                began.set()
                tx.lock("endpoint eice-1")
                seen.append(tx.gateway_workers.count())

        with store.record(in_pipeline=in_pipeline) as tx:
            tx.lock("endpoint eice-1")
            # Now it has it.
            tx.position()
            waits = threading.Thread(target=second, daemon=True)
            waits.start()
            assert began.wait(TIMEOUT)
            tx.gateway_workers.put(replace(worker("gw-1"), host="Łódź"))
        waits.join(TIMEOUT)
        assert seen == [1]
        with store.read() as tx:
            assert tx.gateway_workers.find() == [replace(worker("gw-1"), host="Łódź")]
