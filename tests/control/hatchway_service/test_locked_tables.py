"""Calls while a gateway's role keeps the tables to itself that it may lock as a whole."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from tests.control.harness import SharedServer, World, world_in
from tests.control.hatchway_service.test_tunnels import carry, tunnel_id, worker
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

import hatchway
from hatchway.control.housekeeping.dead_workers import DeadWorkers
from hatchway.control.housekeeping.purges import purge_terminations
from hatchway.store import Store, is_locked

STORE_PAGE = Path(hatchway.__file__).parents[2] / "docs" / "store.md"
DISCOVERY = "/.well-known/hatchway"
PORT = 443
"""Of `worker`."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as running:
        yield running


@pytest.fixture
def world(server: PostgresqlServer, shared_server: SharedServer, session: boto3.Session) -> Iterator[World]:
    """In PostgreSQL, where whoever waits for a lock waits until somebody gives up."""
    url = server.new_database()
    store = Store.open(f"{url}&options=-c%20lock_timeout%3D0")
    store.migrate()
    (grants,) = re.findall(r"```sql\n(.+?)```", STORE_PAGE.read_text(), re.DOTALL)
    owner = create_engine(url)
    with owner.begin() as connection:
        # Of the server's other databases, too.
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS hatchway_gateway; {grants}")
    owner.dispose()
    with world_in(store, shared_server, session) as made:
        yield made
    owner = create_engine(url)
    with owner.begin() as connection:
        connection.exec_driver_sql("DROP OWNED BY hatchway_gateway")
    owner.dispose()


@pytest.fixture
def session_of_role(world: World) -> Iterator[Connection]:
    role = create_engine(make_url(world.store.engine.url).set(username="hatchway_gateway"))
    with role.connect() as connection:
        yield connection
    role.dispose()


@pytest.fixture
def lock(session_of_role: Connection) -> Callable[[], None]:
    """Locks, as a gateway's role, all that it can, until the test ends."""

    def all_that_it_can() -> None:
        session_of_role.execute(text("LOCK TABLE tunnels, gateway_workers"))

    return all_that_it_can


@pytest.fixture
def unlock(session_of_role: Connection) -> Callable[[], None]:
    """Or until then."""
    return session_of_role.rollback


def refusal(call: Callable[[], Any]) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], str(answer["Error"]["Code"])


def test_calls_about_tunnels_say_that_they_cannot_be_answered_now_and_change_nothing(
    world: World, lock: Callable[[], None]
) -> None:
    worker(world)
    carry(world, 1)
    client = world.client("hatchway", read_timeout=30)
    client.terminate_tunnel(TunnelId=tunnel_id(1))
    before = world.store.revision()
    lock()
    assert refusal(client.list_tunnels) == (503, "ServiceUnavailable")
    assert refusal(lambda: client.terminate_tunnel(TunnelId=tunnel_id(1))) == (503, "ServiceUnavailable")
    assert world.store.revision() == before
    # Nor does housekeeping, which has the write lock meanwhile.
    with pytest.raises(Exception, match="lock timeout") as caught:
        world.change(purge_terminations)
    assert is_locked(caught.value)
    world.client("iam", read_timeout=30).create_user(UserName="bob")


def test_a_round_that_looks_for_dead_workers_fails_at_once_and_the_next_goes_on(
    world: World, lock: Callable[[], None], unlock: Callable[[], None]
) -> None:
    worker(world)
    carry(world, 1)
    later = world.clock() + timedelta(hours=1)
    rounds = DeadWorkers(replace(world.plane, clock=lambda: later))
    lock()
    with pytest.raises(Exception, match="lock timeout") as caught:
        rounds.end_their_tunnels()
    assert is_locked(caught.value)
    unlock()
    assert [rounds.end_their_tunnels(), rounds.end_their_tunnels()] == [0, 1]


def test_no_call_waits_for_one_that_would_end_a_tunnel(world: World, lock: Callable[[], None]) -> None:
    worker(world)
    carry(world, 1)
    lock()
    with world.store.write():
        # It is refused while another has the write lock: it did not ask for that.
        client = world.client("hatchway", read_timeout=30)
        assert refusal(lambda: client.terminate_tunnel(TunnelId=tunnel_id(1)))[0] == 503


def test_clients_are_told_where_the_gateway_was(world: World, lock: Callable[[], None]) -> None:
    worker(world)
    assert world.send("GET", DISCOVERY).text == f'{{"gateway_port":{PORT},"remember_seconds":60}}'
    lock()
    assert world.send("GET", DISCOVERY).text == f'{{"gateway_port":{PORT},"remember_seconds":0}}'


def test_a_process_that_has_seen_no_gateway_has_clients_try_again(
    world: World, lock: Callable[[], None]
) -> None:
    lock()
    answer = world.send("GET", DISCOVERY)
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
