"""Statements that go to PostgreSQL together: as many round trips as questions, and nothing half done."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, NotSupportedError, OperationalError, ProgrammingError
from tests.store.line import Line, line_to
from tests.store.postgresql_server import PostgresqlServer

from hatchway.domain.host_token import HostToken
from hatchway.domain.tunnel import Tunnel
from hatchway.store import NothingCommitted, Store, TransactionEnded, explain, read_timeout
from hatchway.store.tables import host_tokens

NOW = datetime(2026, 11, 24, tzinfo=UTC)
READ_TIMEOUT = 1.0
LOST = b"SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0"
"""What PgBouncer says when it has lost the server (PostgreSQL: "Error and Notice Message Fields")."""


@pytest.fixture
def url(migrated_postgresql: Callable[[], str]) -> str:
    return f"{migrated_postgresql()}&connect_timeout=2"


@pytest.fixture
def led(url: str, tmp_path: Path) -> Iterator[tuple[str, Line]]:
    with line_to(url, tmp_path) as made:
        yield made


@pytest.fixture
def line(led: tuple[str, Line]) -> Line:
    return led[1]


@pytest.fixture
def store(led: tuple[str, Line]) -> Iterator[Store]:
    """Whose server is at the other end of the line."""
    with closing(Store.open(led[0], read_timeout=READ_TIMEOUT)) as opened:
        yield opened


def token(name: str, length: int = 1) -> HostToken:
    return HostToken(instance_id=name, token_hash=bytes(length), created_at=NOW)


def names(store: Store) -> list[str]:
    with store.read() as tx:
        return [row.instance_id for row in tx.host_tokens.find()]


def tunnel(name: str, instance: str = "i-1") -> Tunnel:
    return Tunnel(
        id=name,
        gateway_id="gw-1",
        endpoint_id="eice-1",
        instance_id=instance,
        principal_arn="arn",
        maker_id="AIDA",
        access_key_id="AKIA",
        source_ip="192.0.2.1",
        private_ip="10.0.0.1",
        remote_port=22,
        opened_at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )


def fill(store: Store, name: str = "i-first") -> None:
    with store.record(in_pipeline=True) as tx:
        tx.lock("endpoint eice-1")
        tx.host_tokens.put(token(name))


def test_what_nobody_wants_an_answer_to_goes_with_the_commit(store: Store, line: Line) -> None:
    fill(store)
    before = line.round_trips
    with store.record(in_pipeline=True) as tx:
        tx.lock("endpoint eice-1", "principal AIDA")
        for number in range(20):
            tx.host_tokens.put(token(f"i-{number:02}"))
            tx.tunnels.add_all([tunnel(f"tun-{number}"), tunnel(f"tun-{number}-more")])
    assert line.round_trips - before == 1
    assert len(names(store)) == 21
    with store.read() as tx:
        assert tx.tunnels.count() == 40


def test_each_time_that_somebody_wants_an_answer_all_goes_that_was_said_before(
    store: Store, line: Line
) -> None:
    fill(store)
    before = line.round_trips
    with store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"), token("i-2"))
        assert tx.host_tokens.get("i-1") == token("i-1")
        tx.tunnels.add(tunnel("tun-1"))
        gone, kept = tx.tunnels.deleting(["tun-1", "tun-2"]), tx.tunnels.deleting(["tun-1"])
        assert (gone(), kept()) == ({"tun-1"}, set())
        assert tx.host_tokens.delete("i-1")
    assert line.round_trips - before == 4
    assert names(store) == ["i-2", "i-first"]


def test_what_sqlalchemy_says_comes_after_what_was_said_before(store: Store) -> None:
    with store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"))
        tx.tunnels.add(tunnel("tun-1"))
        tx.report_bytes({"tun-1": (3, 4)})
        assert tx.host_tokens.values(host_tokens.c.instance_id) == [("i-1",)]
        tx.host_tokens.put(token("i-2"))
        with tx.savepoint():
            tx.host_tokens.put(token("i-3"))
    with store.read() as tx:
        (entered,) = tx.tunnels.find()
    assert (entered.bytes_in, entered.bytes_out) == (3, 4)
    assert names(store) == ["i-1", "i-2", "i-3"]


def test_nothing_is_said_for_a_transaction_in_which_nothing_was(store: Store, line: Line) -> None:
    fill(store)
    before = line.round_trips
    with store.record(in_pipeline=True):
        pass
    assert line.round_trips == before


def test_a_statement_that_fails_with_the_commit_leaves_nothing_of_it(store: Store) -> None:
    for _ in range(3):
        with pytest.raises(NothingCommitted) as failed, store.record(in_pipeline=True) as tx:
            tx.host_tokens.put(token("i-1"))
            tx.tunnels.add(tunnel("tun-1", instance="i" * 65))
            tx.host_tokens.put(token("i-2"))
        assert isinstance(failed.value.problem, DataError)
        assert "value too long" in str(failed.value)
        fill(store)
    assert names(store) == ["i-first"]


def test_a_statement_that_cannot_be_prepared_is_the_one_that_has_failed(store: Store) -> None:
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE tunnels")
    with pytest.raises(NothingCommitted) as failed, store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"))
        tx.tunnels.add(tunnel("tun-1"))
        tx.host_tokens.put(token("i-2"))
    assert isinstance(failed.value.problem, ProgrammingError)
    assert str(explain(failed.value)).startswith("the store is being restored")
    assert names(store) == []


def test_a_statement_that_fails_before_the_commit_is_told_of_by_the_next_answer(store: Store) -> None:
    with pytest.raises(DataError, match="value too long"), store.record(in_pipeline=True) as tx:
        tx.tunnels.add(tunnel("tun-1", instance="i" * 65))
        tx.host_tokens.find()
    assert names(store) == []


def test_what_has_failed_is_not_committed_although_nobody_minds(store: Store) -> None:
    with pytest.raises(TransactionEnded), store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"))
        tx.tunnels.add(tunnel("tun-1", instance="i" * 65))
        with pytest.raises(DataError):
            tx.host_tokens.find()
    assert names(store) == []


def test_a_value_that_the_server_does_not_have_fails_as_it_is_said_and_costs_no_connection(
    store: Store, line: Line
) -> None:
    fill(store)
    with pytest.raises(DataError, match="NUL"), store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i\0"))
    before = line.round_trips
    fill(store, "i-2")
    assert line.round_trips - before == 1


def test_an_exception_within_leaves_nothing(store: Store) -> None:
    with pytest.raises(ValueError, match="no"), store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"))
        assert len(tx.host_tokens.find()) == 1
        tx.host_tokens.put(token("i-2"))
        raise ValueError("no")
    assert names(store) == []


def test_what_others_roll_back_leaves_no_statement_to_be_called_that_is_not_there(store: Store) -> None:
    for _ in range(2):
        fill(store)
        # Six times, so that psycopg prepares it; then it has the server forget all that is prepared.
        for _ in range(6):
            assert store.revision() >= 0
    fill(store, "i-last")
    assert names(store) == ["i-first", "i-last"]


def test_a_connection_has_so_many_statements_and_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.pipeline._MOST_STATEMENTS", 3)

    def session() -> int:
        with store.record() as tx:
            return int(tx.host_tokens.values(text("pg_backend_pid()"))[0][0])

    fill(store)
    first = session()
    fill(store)
    assert session() != first


def test_a_connection_that_is_lost_with_the_commit_is_told_of_and_not_used_again(
    store: Store, line: Line
) -> None:
    fill(store)
    with pytest.raises(OperationalError) as failed, store.record(in_pipeline=True) as tx:
        tx.host_tokens.find()
        tx.host_tokens.put(token("i-1"))
        line.cut_at = b"i-1"
    assert not isinstance(failed.value, NothingCommitted)
    assert str(explain(failed.value)).startswith("the database server cannot be reached")
    line.cut_at = None
    fill(store, "i-2")
    assert names(store) == ["i-2", "i-first"]


def test_a_session_that_is_ended_within_leaves_nothing(store: Store, url: str) -> None:
    with closing(Store.open(url)) as other:
        with pytest.raises(OperationalError), store.record(in_pipeline=True) as tx:
            tx.host_tokens.put(token("i-1"))
            pid = tx.host_tokens.values(text("pg_backend_pid()"))[0][0]
            with other.record() as there:
                there._connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
            tx.host_tokens.find()
        fill(store, "i-2")
        assert names(other) == ["i-2"]


def test_an_interrupt_amid_an_exchange_is_told_of_as_such_and_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    fill(store)
    with monkeypatch.context() as patched:
        patched.setattr("hatchway.store.pipeline._Put.answers", interrupted)
        with pytest.raises(KeyboardInterrupt), store.record(in_pipeline=True) as tx:
            tx.host_tokens.put(token("i-1"))
            tx.host_tokens.find()
    fill(store, "i-2")
    assert names(store) == ["i-2", "i-first"]


def test_a_commit_whose_answer_a_pooler_has_lost_is_not_taken_for_failed(
    store: Store, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.pooler.is_pooled", lambda _: True)
    fill(store)
    with pytest.raises(OperationalError), store.record(in_pipeline=True) as tx:
        tx.host_tokens.put(token("i-1"))
        line.answer = b"E" + (4 + len(LOST)).to_bytes(4, "big") + LOST
    line.answer = None
    # Who was told that nothing is committed would enter it again.
    assert names(store) == ["i-1", "i-first"]


def test_a_session_that_is_ended_right_after_a_commit_is_not_used_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.pipeline._FRESH_SECONDS", 3600.0)
    with closing(Store.open(url)) as store, closing(Store.open(url)) as other:
        with store.record(in_pipeline=True) as tx:
            tx.host_tokens.put(token("i-1"))
            pid = tx.host_tokens.values(text("pg_backend_pid()"))[0][0]
        with other.record() as there:
            there._connection.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": pid})
        fill(store, "i-2")
        assert names(other) == ["i-1", "i-2"]


def test_a_column_that_a_migration_changes_fails_one_commit_and_no_other(store: Store, url: str) -> None:
    def look() -> int:
        with store.record(in_pipeline=True) as tx:
            tx.lock("endpoint eice-1")
            return len(tx.host_tokens.find())

    fill(store)
    assert look() == 1
    with (
        closing(Store.open(store.engine.url.render_as_string())) as other,
        other.engine.begin() as connection,
    ):
        connection.exec_driver_sql("ALTER TABLE host_tokens ALTER instance_id TYPE text")
    with pytest.raises(NotSupportedError, match="cached plan"):
        look()
    assert look() == 1


@pytest.mark.parametrize("asked", [True, False], ids=["before the commit", "with the commit"])
def test_a_server_that_falls_silent_is_waited_for_so_long_and_no_longer(
    url: str, database_server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch, *, asked: bool
) -> None:
    monkeypatch.setattr(read_timeout, "IDLE_SECONDS", READ_TIMEOUT / 2)
    with closing(Store.open(url, read_timeout=READ_TIMEOUT)) as store:
        fill(store)
        with (
            pytest.raises(OperationalError) as failed,
            database_server.suspended(),
            store.record(in_pipeline=True) as tx,
        ):
            tx.host_tokens.put(token("i-1"))
            if asked:
                tx.host_tokens.find()
        assert "the store does not answer" in str(explain(failed.value))
        fill(store, "i-2")
        assert {"i-first", "i-2"} <= {*names(store)}


def test_more_than_the_kernel_keeps_goes_and_comes(store: Store) -> None:
    with store.record(in_pipeline=True) as tx:
        for number in range(8):
            tx.host_tokens.put(token(f"i-{number}", 1 << 20))
        assert tx.host_tokens.get("i-7") == token("i-7", 1 << 20)
        assert sum(len(row.token_hash) for row in tx.host_tokens.find()) == 8 << 20
