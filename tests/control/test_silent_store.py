"""Calls while the database server hangs: each ends, with an answer after which clients try again."""

import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.control.harness import SharedServer, World, world_in
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.store import Store, read_timeout

CALLS = 6


def test_calls_end_as_unavailable_and_are_answered_again_when_the_database_goes_on(
    shared_server: SharedServer,
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    monkeypatch.setattr(read_timeout, "IDLE_SECONDS", 0.5)
    with postgresql_server(programs) as database:
        store = Store.open(f"{database.new_database()}&connect_timeout=2", read_timeout=1.0)
        store.migrate()
        with world_in(store, shared_server, session) as world:
            iam = world.client("iam", read_timeout=60, max_pool_connections=CALLS)
            iam.create_user(UserName="before")

            def call(number: int) -> str:
                try:
                    if number % 2:
                        iam.create_user(UserName=f"user-{number}")
                    else:
                        iam.get_user(UserName="before")
                except ClientError as refusal:
                    assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 503
                    return str(refusal.response["Error"]["Code"])
                return "answered"

            with database.suspended(), ThreadPoolExecutor(CALLS) as pool:
                assert set(pool.map(call, range(CALLS))) == {"ServiceUnavailable"}
            assert iam.get_user(UserName="before")["User"]["UserName"] == "before"
            assert answers(world)


def answers(world: World) -> bool:
    """Whether a change is made: what was given up lets go of its locks when the server notices."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            world.client("iam").create_user(UserName="after")
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] == "EntityAlreadyExists":
                return True
        else:
            return True
    return False
