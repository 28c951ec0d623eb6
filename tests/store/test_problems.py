"""What is wrong with a store is told in words that say what to do."""

import errno
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from psycopg.errors import InsufficientPrivilege, InternalError_, UndefinedTable
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InternalError, ProgrammingError

from hatchway.domain.tunnel import GatewayWorker
from hatchway.store import Store, StoreBusy, TransactionEnded, explain, is_denied
from hatchway.store.url import show_problem

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_a_store_that_another_process_has_locked_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hatchway.db?timeout=0.1"
    store, other = Store.open(url), Store.open(url)
    store.migrate()
    with other.record(), pytest.raises(DBAPIError) as caught, store.record():
        pass
    told = explain(caught.value)
    assert told is not None and told.startswith("the store is locked by another process")
    with store.record():
        pass


def test_writers_of_one_process_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/hatchway.db?timeout=0.1")
    store.migrate()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with store.record():
                pass
        except StoreBusy as busy:
            failures.append(busy)

    with store.record():
        waiting = threading.Thread(target=write)
        waiting.start()
        waiting.join()
    (failure,) = failures
    assert explain(failure) is not None


def test_a_transaction_that_the_database_has_ended_is_not_taken_for_committed(store: Store) -> None:
    with pytest.raises(TransactionEnded), store.record() as tx:
        tx.forget_deletions(0)
        connection = tx._connection
        if store.is_sqlite:
            connection.exec_driver_sql("ROLLBACK")
        else:
            with pytest.raises(DBAPIError):
                connection.execute(text("SELECT 1/0"))


def test_a_server_that_is_not_there_is_named_as_the_cause(tmp_path: Path) -> None:
    store = Store.open(f"postgresql+psycopg://nobody@/none?host={tmp_path}")
    with pytest.raises(DBAPIError) as caught:
        store.revision()
    told = explain(caught.value)
    assert told is not None and told.startswith("the database server cannot be reached")


def test_a_file_that_may_not_be_used_is_named() -> None:
    problem = PermissionError(errno.EACCES, "Permission denied", "/srv/audit.jsonl")
    assert explain(problem) == "/srv/audit.jsonl may not be used: let the server's user read and write it"


def test_a_disk_that_may_not_be_written_is_named() -> None:
    problem = OSError(errno.EROFS, "Read-only file system", "/srv/audit.jsonl")
    assert explain(problem) == "the disk may not be written: mount it for writing where /srv/audit.jsonl is"


def test_a_table_that_is_not_there_yet_is_put_down_to_a_restoration() -> None:
    problem = ProgrammingError("SELECT 1", {}, UndefinedTable('relation "audit_retention" does not exist'))
    told = explain(problem)
    assert told is not None and told.startswith("the store is being restored")


def test_a_standby_is_called_one_that_may_only_be_read_and_not_damaged() -> None:
    problem = InternalError("SELECT", {}, InternalError_("cannot assign TransactionIds during recovery"))
    told = explain(problem)
    assert told is not None and "leads to the primary" in told
    shown = show_problem("postgresql://hatchway@db2.example/hatchway", problem)
    assert "during recovery (the database is read-only" in shown
    other = explain(InternalError("SELECT", {}, InternalError_("missing chunk number 0")))
    assert other == "the store is damaged: restore it from a backup"


def test_what_a_role_may_not_do_is_told_from_what_fails() -> None:
    assert is_denied(ProgrammingError("SELECT", {}, InsufficientPrivilege()))
    assert not is_denied(ProgrammingError("SELECT", {}, UndefinedTable()))
    assert not is_denied(InsufficientPrivilege())


def test_a_fault_of_the_program_is_not_put_down_to_the_store() -> None:
    assert explain(ValueError("no")) is None


def test_a_full_disk_is_called_so_when_sqlite_calls_it_an_input_output_error() -> None:
    # Where the index of the write-ahead log cannot grow, as a read of a store on a full disk finds out.
    problem = sqlite3.OperationalError("disk I/O error")
    problem.sqlite_errorname = "SQLITE_IOERR_SHMSIZE"
    told = show_problem("sqlite:////srv/hatchway.db", problem)
    assert told.endswith("/srv/hatchway.db: disk I/O error (the store's disk is full: free some space there)")
    problem.sqlite_errorname = "SQLITE_IOERR_READ"
    assert "repair it, or restore a backup" in show_problem("sqlite:////srv/hatchway.db", problem)


def test_a_value_that_a_driver_does_not_take_is_no_problem_of_the_store(store: Store) -> None:
    far = 1 << 80
    with pytest.raises((OverflowError, DBAPIError)) as caught, store.record() as tx:
        tx.gateway_workers.put(GatewayWorker(id="gw", host="h", port=far, started_at=NOW, lease_until=NOW))
    assert explain(caught.value) is None
