"""Many callers at once, of two control planes: what may be once is once, and limits are never passed."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.control.harness import SUBNET, SharedServer, World, world_in
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.store import Store
from hatchway.transport.listening.sources import Sources

AT_ONCE = 10


@pytest.fixture(params=["sqlite", "postgresql"])
def worlds(
    request: pytest.FixtureRequest, shared_server: SharedServer, session: boto3.Session, tmp_path: Path
) -> Iterator[Sequence[World]]:
    """The same account, of two control planes on one store."""
    if request.param == "sqlite":
        with two_worlds(f"sqlite:///{tmp_path}/hatchway.db", shared_server, session) as both:
            yield both
        return
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with (
        postgresql_server(programs) as server,
        two_worlds(server.new_database(), shared_server, session) as both,
    ):
        yield both


@contextmanager
def two_worlds(url: str, server: SharedServer, session: boto3.Session) -> Iterator[Sequence[World]]:
    store = Store.open(url)
    store.migrate()
    with world_in(store, server, session) as first:
        other_store = Store.open(url)
        audit = GroupCommit(other_store, appends_only=True)
        plane = replace(first.plane, store=other_store, log=audit)
        patient = Sources(lambda: 0.0, may_waste=10**6, all_may_waste=10**6, may_fail=10**6)
        other_server = SharedServer(server.certificate, server.ca, patient)
        try:
            other_server.application = create_application(plane)
            yield first, replace(first, shared_server=other_server, store=other_store, plane=plane)
        finally:
            other_server.close()
            audit.close()
            other_store.close()


def at_once(
    worlds: Sequence[World], service: str, call: Callable[[Any, int], Any]
) -> tuple[list[Any], Counter[str]]:
    """What came of as many calls at once, by both control planes: results, and errors by code."""
    clients = [world.client(service) for world in worlds]

    def one(number: int) -> Any:
        try:
            return call(clients[number % len(clients)], number)
        except ClientError as refusal:
            return refusal

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(one, range(AT_ONCE)))
    refusals = Counter(each.response["Error"]["Code"] for each in outcomes if isinstance(each, ClientError))
    return [each for each in outcomes if not isinstance(each, ClientError)], refusals


def test_what_may_be_once_is_once_and_limits_are_never_passed(worlds: Sequence[World]) -> None:
    world = worlds[0]
    iam, ec2 = world.client("iam"), world.client("ec2")

    made, refused = at_once(worlds, "iam", lambda client, _: client.create_user(UserName="bob"))
    assert (len(made), refused) == (1, {"EntityAlreadyExists": AT_ONCE - 1})

    made, refused = at_once(worlds, "iam", lambda client, _: client.create_access_key(UserName="bob"))
    assert (len(made), refused) == (2, {"LimitExceeded": AT_ONCE - 2})
    assert len(iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]) == 2

    made, refused = at_once(
        worlds,
        "ec2",
        lambda client, _: client.create_instance_connect_endpoint(SubnetId=SUBNET, ClientToken="once"),
    )
    (endpoint_id,) = {each["InstanceConnectEndpoint"]["InstanceConnectEndpointId"] for each in made}
    assert (len(made), refused) == (AT_ONCE, {})
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1

    made, refused = at_once(
        worlds, "ec2", lambda client, _: client.create_instance_connect_endpoint(SubnetId=SUBNET)
    )
    assert (made, refused) == ([], {"InstanceConnectEndpointLimitExceeded": AT_ONCE})

    made, refused = at_once(
        worlds,
        "ec2",
        lambda client, _: client.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id),
    )
    assert len(made) == 1, refused
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_each_write_is_recorded_once_with_its_effect(worlds: Sequence[World]) -> None:
    world = worlds[0]
    before = world.store.revision()
    at_once(worlds, "iam", lambda client, number: client.create_user(UserName=f"user-{number}"))
    assert world.store.revision() == before + AT_ONCE
    created = [event["requestParameters"]["userName"] for event in world.events("CreateUser")]
    assert sorted(created) == sorted(f"user-{number}" for number in range(AT_ONCE))
    users = {user["UserName"] for user in world.client("iam").list_users()["Users"]}
    assert users == set(created)
