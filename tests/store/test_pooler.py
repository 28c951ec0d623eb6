"""The store behind PgBouncer, by session and by transaction."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

import pytest
import uvloop
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.programs import find, needs
from tests.store.postgresql_server import SUPERUSER

from hatchway.domain.identity import User
from hatchway.domain.tunnel import GatewayWorker
from hatchway.store import Store, explain
from hatchway.store.pooler import pools_by_transaction

pytestmark = needs("pgbouncer", "pgbouncer")
NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)
HOUR = 3600.0
TIMEOUT = 30.0
PORT = 6432
"""Of the socket's name alone: it listens in its directory and nowhere else."""


def put(store: Store, name: str) -> None:
    with store.write() as tx:
        tx.users.put(User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW))


@pytest.fixture(scope="module", params=["session", "transaction"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pooled_url(mode: str, migrated_postgresql: Callable[[], str]) -> Iterator[str]:
    """A store's URL that leads through a PgBouncer."""
    url = make_url(migrated_postgresql())
    directory = Path(mkdtemp(prefix="hatchway-pgbouncer-"))
    (directory / "users").write_text(f'"{SUPERUSER}" ""\n')
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n* = host={url.query['host']}\n[pgbouncer]\nunix_socket_dir = {directory}\n"
        f"listen_port = {PORT}\nauth_type = trust\nauth_file = {directory}/users\npool_mode = {mode}\n"
        f"logfile = {directory}/log\ndefault_pool_size = 20\n"
    )
    # It refuses to run as root.
    account = "postgres" if os.geteuid() == 0 else None
    if account is not None:
        owner = pwd.getpwnam(account)
        os.chown(directory, owner.pw_uid, owner.pw_gid)
    process = subprocess.Popen(
        [str(find("pgbouncer")), str(configuration)],
        user=account,
        group=account,
        extra_groups=[] if account else None,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (directory / f".s.PGSQL.{PORT}").exists():
            assert process.poll() is None, (directory / "log").read_text()
        yield url.update_query_dict({"host": str(directory), "port": str(PORT)}).render_as_string()
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(directory)


@pytest.fixture
def store(pooled_url: str) -> Iterator[Store]:
    with closing(Store.open(pooled_url)) as opened:
        yield opened


def test_how_it_pools_is_noticed(store: Store, mode: str, migrated_postgresql: Callable[[], str]) -> None:
    assert pools_by_transaction(store.engine) is (mode == "transaction")
    with closing(Store.open(migrated_postgresql())) as direct:
        assert not pools_by_transaction(direct.engine)


def test_a_pooler_that_is_lost_as_a_transaction_begins_is_told_of_as_the_store(store: Store) -> None:
    with store.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)
        with pytest.raises(OperationalError) as caught:
            connection.begin()
    assert str(explain(caught.value)).startswith("the database server cannot be reached")
    put(store, "afterwards")


def test_whoever_has_which_session_finds_his_statements_and_settings(store: Store) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(12):
                put(store, f"user-{number}-{turn}")
                with store.record(in_pipeline=turn % 2 == 0) as tx:
                    tx.lock(f"endpoint {number}")
                    tx.gateway_workers.put_all(
                        GatewayWorker(
                            id=f"gw-{number}-{each}", host="h", port=1, started_at=NOW, lease_until=NOW
                        )
                        for each in range(3)
                    )
                with store.read() as tx:
                    assert tx.users.get(f"user-{number}-{turn}")
                    assert tx.users.values(text("current_setting('lock_timeout')"))[0] == ("15s",)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert len(store.changes().changed["users"]) >= 48
    with store.read() as tx:
        assert tx.gateway_workers.count() >= 12


def test_one_view_is_of_one_moment(store: Store, pooled_url: str) -> None:
    put(store, "alice")
    with closing(Store.open(pooled_url)) as other, store.read() as tx:
        before = tx.users.count()
        put(other, "later")
        assert tx.users.count() == before
        assert tx.revision() < other.revision()


def test_a_lock_is_not_waited_for_without_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(store_settings(), "lock_timeout", "50ms")
    hasty = Store.open(store.engine.url.render_as_string())
    held = pytest.raises(OperationalError, match="lock timeout")
    with closing(hasty), store.write(), held, hasty.write():
        pass


def test_what_is_recorded_under_a_lock_is_on_the_disk_when_it_is_committed(store: Store) -> None:
    # A statement afterwards may reach the server when it has crashed and started again, and lost it.
    with store.record() as tx:
        tx.lock("endpoint eice-1")
        tx.gateway_workers.put(GatewayWorker(id="gw-d", host="h", port=1, started_at=NOW, lease_until=NOW))
        assert tx.gateway_workers.values(text("current_setting('synchronous_commit')"))[0] == ("on",)
    assert not tx.hands_over


def store_settings() -> dict[str, str]:
    from hatchway.store import engines

    return dict(engines.POSTGRESQL_SETTINGS)


def test_a_change_is_seen_by_being_told_or_by_asking(
    store: Store, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_transaction = mode == "transaction"
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", HOUR)
    monkeypatch.setattr(
        "hatchway.store.change_feed.notifications.POLLING_INTERVAL", 0.05 if by_transaction else HOUR
    )

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT), store.notifications() as notifications:
            if not by_transaction:
                await notifications.next()
            before = store.revision()
            await asyncio.to_thread(put, store, "news")
            while store.revision() == before:
                await notifications.next()
            await notifications.next() if by_transaction else None

    with capture_logs() as logs:
        uvloop.run(run())
    assert [line["event"] for line in logs] == (["store is asked for changes"] if by_transaction else [])
