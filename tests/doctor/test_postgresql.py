"""What is told of a database server that forgets, or that somebody has brought to a standstill."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, create_engine
from tests.e2e.waiting import wait_until
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

from hatchway.doctor import postgresql
from hatchway.doctor.findings import Finding, Status
from hatchway.doctor.postgresql import check_postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    """One with fsync=off."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as started:
        yield started


@pytest.fixture
def engine(server: PostgresqlServer) -> Iterator[Engine]:
    made = create_engine(server.new_database(), isolation_level="AUTOCOMMIT")
    yield made
    made.dispose()


def found(engine: Engine) -> dict[str, Finding]:
    """What is not well, but for fsync."""
    with engine.connect() as connection:
        return {
            each.check: each
            for each in check_postgresql(connection)
            if each.status is not Status.OK and "fsync" not in each.seen
        }


def run(engine: Engine, *statements: str) -> None:
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_database_in_order_is_well(engine: Engine) -> None:
    assert found(engine) == {}


def test_one_that_forgets_or_has_anybodys_functions_is_an_error(engine: Engine) -> None:
    # As it is by default before PostgreSQL 15.
    run(engine, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    with engine.connect() as connection:
        connection.exec_driver_sql("SET synchronous_commit = off")
        wrong = [each.seen for each in check_postgresql(connection) if each.status is Status.ERROR]
    assert [seen.removeprefix("PostgreSQL has ").partition(":")[0] for seen in wrong] == [
        "synchronous_commit = off",
        "fsync = off",
        "every role, including the gateways', may create functions that the control plane would call",
    ]


def test_one_whose_queue_of_notifications_is_full_is_warned_of(engine: Engine) -> None:
    name = engine.url.database
    run(
        engine,
        "CREATE SCHEMA pretended",
        "CREATE FUNCTION pretended.pg_notification_queue_usage() RETURNS float LANGUAGE sql"
        " AS 'SELECT 0.9::float'",
        f"ALTER DATABASE {name} SET search_path = pretended, pg_catalog, public",
    )
    engine.dispose()
    assert "90% full" in found(engine)["notifications"].seen


def test_a_session_that_stays_in_a_transaction_is_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.connect() as idle:
        idle.exec_driver_sql("SET application_name = 'psql of bob'")
        idle.exec_driver_sql("BEGIN")
        assert found(engine) == {}
        monkeypatch.setattr(postgresql, "_LONGEST_TRANSACTION", timedelta(0))
        warned = found(engine)["transactions"]
        assert "(psql of bob, pid " in warned.seen
        assert "pg_terminate_backend(" in warned.advice
        idle.exec_driver_sql("ROLLBACK")
    assert found(engine) == {}


def test_a_standby_that_commits_wait_for_and_that_is_not_there_is_an_error(engine: Engine) -> None:
    def waits() -> bool:
        return found(engine).get("standby") is not None

    run(engine, "ALTER SYSTEM SET synchronous_standby_names = 'db2'", "SELECT pg_reload_conf()")
    try:
        wait_until(waits)
        assert "(synchronous_standby_names = db2), but none is connected" in found(engine)["standby"].seen
    finally:
        run(engine, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    wait_until(lambda: not waits())


def test_a_log_that_is_kept_for_nobody_is_warned_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run(engine, "SELECT pg_create_physical_replication_slot('db2', true)")
    try:
        assert found(engine) == {}
        monkeypatch.setattr(postgresql, "_MOST_KEPT", 0)
        warned = found(engine)["standby"]
        assert "kept for the slot db2, which nobody reads" in warned.seen
        assert warned.advice.endswith("SELECT pg_drop_replication_slot('db2')")
    finally:
        run(engine, "SELECT pg_drop_replication_slot('db2')")
