"""Many callers at once, of two control planes: what may be once is once, and limits are never passed."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.control.harness import INSTANCE, SUBNET, SharedServer, World, world_in
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

from hatchway.account import host_tokens
from hatchway.audit.group_commit import GroupCommit
from hatchway.control.application import create_application
from hatchway.control.hosts import authentication
from hatchway.protocol.service_models import OWN_MODELS
from hatchway.store import Store
from hatchway.transport.listening.sources import Sources

AT_ONCE = 10
A_WHILE = 0.5
"""Seconds in which what waits for nothing is done."""


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """With our model beside botocore's own."""
    session = boto3.Session()
    session._loader.search_paths.append(str(OWN_MODELS))
    return session


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def worlds(
    request: pytest.FixtureRequest, shared_server: SharedServer, session: boto3.Session, tmp_path: Path
) -> Iterator[Sequence[World]]:
    """The same account, of two control planes on one store."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/hatchway.db"
    else:
        url = request.getfixturevalue("postgresql").new_database()
    with two_worlds(url, shared_server, session) as both:
        yield both


@contextmanager
def two_worlds(url: str, server: SharedServer, session: boto3.Session) -> Iterator[Sequence[World]]:
    store = Store.open(url)
    store.migrate()
    with world_in(store, server, session) as first:
        other_store = Store.open(url)
        audit = GroupCommit(other_store)
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

    host = {"SubnetId": SUBNET, "PrivateIpAddress": "10.0.1.77", "ClientToken": "once"}
    made, refused = at_once(
        worlds, "hatchway", lambda client, _: client.register_instance(Name="new", **host)
    )
    assert (len(made), refused) == (AT_ONCE, {})
    assert len({each["Instance"]["InstanceId"] for each in made}) == 1
    made, refused = at_once(
        worlds, "hatchway", lambda client, number: client.register_instance(Name=f"new-{number}", **host)
    )
    assert (made, refused) == ([], {"ConflictException": AT_ONCE})


def test_each_write_is_recorded_once_with_its_effect(worlds: Sequence[World]) -> None:
    world = worlds[0]
    before = world.store.revision()
    at_once(worlds, "iam", lambda client, number: client.create_user(UserName=f"user-{number}"))
    assert world.store.revision() == before + AT_ONCE
    created = [event["requestParameters"]["userName"] for event in world.events("CreateUser")]
    assert sorted(created) == sorted(f"user-{number}" for number in range(AT_ONCE))
    users = {user["UserName"] for user in world.client("iam").list_users()["Users"]}
    assert users == set(created)


QUESTION = "/host/v1/authorized-keys?user=root&fingerprint=SHA256:" + "A" * 43


def ask(world: World, token: str) -> int:
    return world.send("GET", QUESTION, {"Authorization": f"Bearer {token}"}).status


def amid(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, work: Callable[[], Any], other: Callable[[], Any]
) -> Any:
    """What `other` gives, which begins when `work` has read a host's token and not yet written it."""
    with ThreadPoolExecutor(1) as pool:
        begun: list[Any] = []
        original = module.replace

        def between(*values: Any, **changed: Any) -> Any:
            if not begun:
                begun.append(pool.submit(other))
                wait(begun, A_WHILE)
            return original(*values, **changed)

        monkeypatch.setattr(module, "replace", between)
        work()
        monkeypatch.undo()
        return begun[0].result()


@pytest.mark.parametrize("at_once", [False, True])
def test_what_an_enrolment_ends_a_host_that_asks_meanwhile_does_not_put_back(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    world, other = worlds
    client = other.client("hatchway")
    first, following = (client.enroll_host(InstanceId=INSTANCE)["HostToken"] for _ in range(2))
    newest = amid(
        monkeypatch,
        authentication,
        lambda: ask(world, following),
        lambda: client.enroll_host(InstanceId=INSTANCE, AtOnce=at_once),
    )["HostToken"]
    assert ask(world, first) == 401
    assert ask(world, following) == (401 if at_once else 200)
    assert ask(world, newest) == 200
    assert ask(world, following) == 401


def test_a_host_keeps_the_token_that_it_begins_to_use_amid_an_enrolment(
    worlds: Sequence[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, other = worlds
    client = other.client("hatchway")
    first, following = (client.enroll_host(InstanceId=INSTANCE)["HostToken"] for _ in range(2))
    made: list[Any] = []
    asked = amid(
        monkeypatch,
        host_tokens,
        lambda: made.append(client.enroll_host(InstanceId=INSTANCE)),
        lambda: ask(world, following),
    )
    # It is known as it was before, or as it was after.
    assert asked in {200, 401}
    good = [token for token in (first, following) if ask(world, token) == 200]
    assert len(good) == 1
    assert (good == [following]) is (asked == 200)
    assert ask(world, made[0]["HostToken"]) == 200
