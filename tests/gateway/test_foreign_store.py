"""A gateway whose store's URL leads to another installation's database, as by a slip in a pooler's file."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from tests.gateway.account import StoredAccount, allow, stored_account
from tests.gateway.harness import echo, target
from tests.gateway.workers import Worker, echoes, open_tunnel, serve, worker
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs
from tests.transport.harness import Closed, run, until

from hatchway.domain.account import Account
from hatchway.settings import Settings
from hatchway.store import Store


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as started:
        yield started


def serve_hastily(settings: Settings, environment: dict[str, str], ready: Connection) -> None:
    """Claims to be alive all the time, and never looks by the clock whose store it is."""
    from hatchway.gateway.trail import lease
    from hatchway.store.processes import schema_watch

    lease.RENEWAL = lease.RETRY = 0.1  # type: ignore[misc]
    schema_watch.INTERVAL = 3600.0  # type: ignore[misc]
    serve(settings, environment, ready)


def other_installation(account: StoredAccount, url: str) -> Store:
    """Of the same account's number and region, and with nothing else."""
    store = Store.open(url)
    store.migrate()
    with account.store.read() as tx:
        own = tx.account()
    with store.write() as tx:
        made = own.created_at.replace(year=own.created_at.year - 1)
        tx.accounts.put(
            Account(id=own.id, region=own.region, gateway_dns_name=own.gateway_dns_name, created_at=made)
        )
    return store


@contextmanager
def led_to(account: StoredAccount, other: Store) -> Iterator[None]:
    """Within it the other's database is where the account's was, for who connects anew."""
    own, others = account.store.engine.url.database, other.engine.url.database
    administration = create_engine(
        make_url(account.url).set(database="postgres"), isolation_level="AUTOCOMMIT"
    )

    def rename(*names: tuple[str | None, str | None]) -> None:
        account.store.engine.dispose()
        other.engine.dispose()
        with administration.connect() as connection:
            for former, name in names:
                connection.exec_driver_sql(f"ALTER DATABASE {former} ALLOW_CONNECTIONS false")
                end = text(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = :name"
                )
                connection.execute(end, {"name": former})
                connection.exec_driver_sql(f"ALTER DATABASE {former} RENAME TO {name}")
                connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    rename((own, f"{own}_away"), (others, own))
    try:
        yield
    finally:
        rename((own, others), (f"{own}_away", own))
        administration.dispose()


async def opens(gateway: Worker, account: StoredAccount, port: int) -> None:
    """Returns when a tunnel has carried something."""
    while True:
        with suppress(AssertionError, Closed):
            assert await echoes(await open_tunnel(gateway, account, port))
            return


def test_nothing_is_written_there_no_tunnel_opened_and_none_ended_and_it_goes_on_with_its_own(
    server: PostgresqlServer, tmp_path: Path
) -> None:
    with stored_account(server.new_database()) as account:
        account.user("alice", allow())
        other = other_installation(account, server.new_database())
        there = Store.open(account.url)

        def written() -> int:
            with there.read() as tx:
                return tx.gateway_workers.count() + tx.audit_records.count() + tx.tunnels.count()

        def transactions() -> int:
            with there.engine.connect() as connection:
                counted = "SELECT xact_rollback FROM pg_stat_database WHERE datname = current_database()"
                return int(connection.exec_driver_sql(counted).scalar_one())

        async def test() -> None:
            async with target(echo) as port:
                with worker(account, tmp_path, serve=serve_hastily) as gateway:
                    client = await open_tunnel(gateway, account, port)
                    assert await echoes(client)
                    there.close()
                    with led_to(account, other):
                        before = transactions()
                        await until(lambda: transactions() > before + 10)
                        with pytest.raises(Closed, match="could not be recorded"):
                            await echoes(await open_tunnel(gateway, account, port))
                        assert written() == 0
                        assert await echoes(client)
                        there.close()
                    assert await echoes(client)
                    await opens(gateway, account, port)

        run(test)
        there.close()
        other.close()
