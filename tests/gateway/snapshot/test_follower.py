"""A gateway's snapshot keeps up with a store on PostgreSQL, which tells of changes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvloop
from sqlalchemy import event, text
from tests.gateway.account import GATEWAY_KEY, endpoint
from tests.store.pasts import with_another_past
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs
from tests.transport.harness import until

from hatchway.domain.identity import User
from hatchway.domain.network import Instance, SecurityGroup, Vpc
from hatchway.gateway.admission.served import Served
from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.store import Changes, Store, Transaction
from hatchway.store.change_feed.notifications import CHANNEL

HOUR = 3600.0
TIMEOUT = 30.0
A_WHILE = 0.5
"""Seconds in which a follower that goes by the clock would have looked five times."""

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


@pytest.fixture(scope="module")
def database() -> Iterator[PostgresqlServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server


def opened(url: str) -> Store:
    store = Store.open(url)
    store.migrate()
    return store


@pytest.fixture
def store(database: PostgresqlServer) -> Iterator[Store]:
    store = opened(database.new_database())
    yield store
    store.close()


@pytest.fixture
def by_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by the clock."""
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", HOUR)
    monkeypatch.setattr("hatchway.store.change_feed.notifications.POLLING_INTERVAL", HOUR)


@asynccontextmanager
async def following(store: Store) -> AsyncIterator[Follower]:
    """A follower that has caught up, follows, and is being told."""
    follower = Follower(store, Snapshot(GATEWAY_KEY), lambda *_: None)
    follower.catch_up()
    caught_up = follower.looked_at
    task = asyncio.create_task(follower.follow())
    try:
        async with asyncio.timeout(TIMEOUT):
            await until(lambda: follower.looked_at > caught_up)
            yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])


def put(store: Store, name: str) -> int:
    """Makes a user; the revision."""
    with store.write() as tx:
        tx.users.put(User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW))
        return tx.revision()


async def seen(follower: Follower, revision: int) -> None:
    await until(lambda: follower._snapshot.revision == revision)


def test_a_change_in_sqlite_is_seen(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/hatchway.db")

    async def run() -> None:
        async with following(store) as follower:
            revision = put(store, "alice")
            await seen(follower, revision)

    uvloop.run(run())
    store.close()


def test_who_waits_for_news_has_what_the_store_knew_when_he_asked(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/hatchway.db")

    async def run() -> None:
        async with following(store) as follower:
            for name in ("alice", "bob", "carol"):
                revision = put(store, name)
                await asyncio.gather(*(follower.caught_up(TIMEOUT) for _ in range(3)))
                assert follower._snapshot.revision == revision

    uvloop.run(run())
    store.close()


def test_nobody_waits_for_news_longer_than_he_would(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/hatchway.db")
    follower = Follower(store, Snapshot(GATEWAY_KEY), lambda *_: None)
    uvloop.run(follower.caught_up(0.05))
    assert follower.looked_at == 0.0
    store.close()


def test_who_asks_for_news_has_the_store_looked_at_but_only_so_often(
    database: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", HOUR)
    store = opened(database.new_database())

    async def run() -> None:
        async with following(store) as follower:
            # Nothing has changed of which the store would tell.
            await asyncio.gather(*(follower.caught_up(TIMEOUT) for _ in range(100)))
            monkeypatch.setattr("hatchway.gateway.snapshot.follower.ASKED_INTERVAL", HOUR)
            looked_at = follower.looked_at
            await asyncio.gather(*(follower.caught_up(0.05) for _ in range(100)))
            assert follower.looked_at == looked_at
            # Who is told looks all the same.
            await seen(follower, put(store, "alice"))

    uvloop.run(run())
    store.close()


@pytest.mark.usefixtures("by_what_is_told")
def test_a_change_is_seen_although_nobody_looks_by_the_clock_and_nothing_is_asked_without_one(
    store: Store,
) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    async def run() -> None:
        async with following(store) as follower:
            event.listen(store.engine, "before_cursor_execute", note)
            await asyncio.sleep(A_WHILE)
            assert statements == []
            for name in ("alice", "bob"):
                revision = put(store, name)
                await seen(follower, revision)
            assert statements

    uvloop.run(run())


@pytest.mark.usefixtures("by_what_is_told")
def test_what_changed_while_every_connection_was_broken_is_caught_up_with(store: Store) -> None:
    other = Store.open(store.engine.url.render_as_string(hide_password=False))
    ours = "datname = current_database() AND pid <> pg_backend_pid()"

    async def run() -> None:
        async with following(store) as follower:
            for name in ("alice", "bob", "carol"):
                # Both at once: nobody can have begun to listen again in between.
                with other.write() as tx:
                    tx.users.put(User(name=name, id="AIDA" + name.upper(), path="/", created_at=NOW))
                    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
                    assert tx._connection.execute(text(end)).scalars().all()
                revision = other.revision()
                await seen(follower, revision)

    uvloop.run(run())
    other.close()


def test_a_database_server_that_hangs_is_not_seen_and_is_caught_up_with_when_it_goes_on(
    database: PostgresqlServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.change_feed.notifications.LISTENING_INTERVAL", 0.05)

    async def run() -> None:
        async with following(store) as follower:
            with database.suspended():
                # A look that had begun may have been answered.
                last = 0.0
                while last != follower.looked_at:
                    last = follower.looked_at
                    await asyncio.sleep(A_WHILE)
            await until(lambda: follower.looked_at > last)
            revision = await asyncio.to_thread(put, store, "alice")
            await seen(follower, revision)

    uvloop.run(run())


@pytest.mark.usefixtures("by_what_is_told")
def test_a_server_that_was_started_again_tells_again(database: PostgresqlServer, store: Store) -> None:
    async def run() -> None:
        async with following(store) as follower:
            await asyncio.to_thread(database.stop)
            before = follower.looked_at
            await asyncio.to_thread(database.start)
            await until(lambda: follower.looked_at > before)
            await asyncio.sleep(A_WHILE)
            revision = await asyncio.to_thread(put, store, "alice")
            await seen(follower, revision)

    uvloop.run(run())


def test_a_store_that_was_restored_is_read_anew_and_counted(store: Store) -> None:
    async def run() -> None:
        async with following(store) as follower:
            await seen(follower, put(store, "alice"))
            told: list[Changes] = []
            follower._applied = lambda changes, _: told.append(changes)
            with with_another_past(store) as connection:
                connection.execute(text("DELETE FROM users"))
                connection.execute(text(f"NOTIFY {CHANNEL}"))
            await until(lambda: follower.restores == 1)
            await until(lambda: told)
            assert (told[0].restored, told[0].everything) == (True, True)
            assert follower._snapshot.user("alice") is None
            await seen(follower, put(store, "bob"))
            assert [changes.everything for changes in told[1:]] == [False]
            assert follower.restores == 1

    uvloop.run(run())


def test_a_gateway_that_is_bound_to_endpoints_has_the_hosts_of_their_vpcs_as_they_come_and_go(
    tmp_path: Path,
) -> None:
    store = opened(f"sqlite:///{tmp_path}/hatchway.db")
    served = Served(endpoints=("web", "eice-1"))
    snapshot = Snapshot(GATEWAY_KEY)
    follower = Follower(store, snapshot, lambda *_: None, served.reaches)

    def known(change: Callable[[Transaction], object]) -> set[str]:
        with store.write() as tx:
            change(tx)
        follower.catch_up()
        follows = {
            host.name for host in (*snapshot.instances_at("10.0.0.1"), *snapshot.instances_at("10.0.0.2"))
        }
        anew = Snapshot(GATEWAY_KEY)
        Follower(store, anew, lambda *_: None, served.reaches).catch_up()
        hosts = {host.name for at in ("10.0.0.1", "10.0.0.2") for host in anew.instances_at(at)}
        assert hosts <= follows, "what is read at first"
        return follows

    host = Instance(
        id="i-1", name="one", vpc_id="vpc-1", subnet_id="s", private_ip="10.0.0.1", ipv6=None,
        security_group_ids=(),
    )  # fmt: skip
    other = replace(host, id="i-2", name="two", vpc_id="vpc-2", private_ip="10.0.0.2")
    bound, unbound = replace(endpoint(), vpc_id="vpc-1"), replace(endpoint(), id="eice-9", vpc_id="vpc-2")

    def first(tx: Transaction) -> None:
        for row in (Vpc(id="vpc-1", name="v1", cidrs=()), Vpc(id="vpc-2", name="v2", cidrs=())):
            tx.vpcs.put(row)
        for each in (host, other):
            tx.instances.put(each)

    assert known(first) == set()
    assert known(lambda tx: tx.endpoints.put(unbound)) == set(), "another's endpoint"
    assert known(lambda tx: tx.endpoints.put(replace(bound, id="eice-1"))) == {"one"}, "by its id"
    assert known(lambda tx: tx.instances.put(replace(other, name="too"))) == {"one"}
    assert known(lambda tx: tx.endpoints.put(replace(unbound, name="web"))) == {"one", "too"}, "by its name"
    assert known(lambda tx: tx.instances.put(replace(host, name="first"))) == {"first", "too"}
    known(lambda tx: tx.endpoints.delete("eice-9"))
    assert "again" not in known(lambda tx: tx.instances.put(replace(other, name="again"))), "served no more"
    known(lambda tx: tx.endpoints.put(replace(bound, id="eice-1", vpc_id="vpc-2")))
    assert "again" in known(lambda tx: tx.instances.put(replace(host, name="last"))), "moved"
    assert "last" not in known(lambda tx: None)
    store.close()


def test_a_gateway_has_of_the_vpcs_that_it_does_not_serve_neither_hosts_nor_groups(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/hatchway.db")
    snapshot = Snapshot(GATEWAY_KEY)
    follower = Follower(store, snapshot, lambda *_: None, lambda vpc, _: not vpc.separate_network)

    def known() -> tuple[list[str], list[str]]:
        hosts = [host.name for address in ("10.0.0.1", "10.0.0.2") for host in snapshot.instances_at(address)]
        return hosts, [group.id for group in snapshot.security_groups(("sg-near", "sg-far"))]

    def put(*rows: Any) -> None:
        with store.write() as tx:
            for row in rows:
                tables: Any = {Vpc: tx.vpcs, Instance: tx.instances, SecurityGroup: tx.security_groups}
                tables[type(row)].put(row)
        follower.catch_up()

    near, far = (
        Vpc(id=f"vpc-{name}", name=name, cidrs=(), separate_network=separate)
        for name, separate in (("near", False), ("far", True))
    )
    groups = [
        SecurityGroup(id=f"sg-{vpc.name}", vpc_id=vpc.id, name="ssh", description="") for vpc in (near, far)
    ]
    host = Instance(
        id="i-1", name="one", vpc_id=near.id, subnet_id="s", private_ip="10.0.0.1", ipv6=None,
        security_group_ids=("sg-near",),
    )  # fmt: skip
    other = replace(host, id="i-2", name="two", vpc_id=far.id, private_ip="10.0.0.2")
    put(near, far, *groups, host, other)
    assert known() == (["one"], ["sg-near"]), "read at first"
    put(replace(other, name="other"), replace(host, name="first"))
    assert known() == (["first"], ["sg-near"]), "changed"
    put(replace(host, vpc_id=far.id))
    assert known() == ([], ["sg-near"]), "moved"
    put(replace(far, separate_network=False))
    assert known() == (["one", "other"], ["sg-near", "sg-far"]), "served from now on"
    put(replace(far, separate_network=True), replace(other, name="last"))
    assert "last" not in known()[0], "served no more"
    again = Snapshot(GATEWAY_KEY)
    Follower(store, again, lambda *_: None, lambda vpc, _: not vpc.separate_network).catch_up()
    assert again.instances_at("10.0.0.2") == ()
    store.close()
