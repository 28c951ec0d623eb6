"""What a listing costs does not grow with what there is: the store's work is counted, not its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import event
from tests.control.harness import (
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_SUBNET,
    OTHER_VPC,
    SSH_GROUP,
    SUBNET,
    VPC,
    World,
)

from hatchway.control.ec2 import work_budget
from hatchway.domain.identity import User
from hatchway.domain.network import Instance, InstanceState, Subnet, default_group
from hatchway.store import Transaction

SMALL, LARGE = 700, 4200
"""Instances, before and after; both more than are gathered before they are looked at."""
STEPS = 10
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def instance(number: int) -> Instance:
    """Most are running, half are `dev`, and each has a name."""
    few = number % 1000 == 1
    return Instance(
        id=f"i-{number * 7919 % 10007:08d}",
        name=f"host-{number}",
        vpc_id=VPC,
        subnet_id=OTHER_SUBNET if few else SUBNET,
        private_ip=f"10.{number // 250}.0.{number % 250}",
        ipv6=None,
        security_group_ids=(DEFAULT_GROUP, SSH_GROUP) if few else (DEFAULT_GROUP,),
        state=InstanceState.STOPPED if few else InstanceState.RUNNING,
        tags={"Name": f"host-{number}", "env": "dev" if number % 2 else "live"},
    )


def grow(world: World, start: int, end: int) -> None:
    numbers = range(start, end)
    with world.store.write() as tx:
        tx.instances.put_all(instance(number) for number in numbers)
        tx.users.put_all(
            User(name=f"user-{number}", id=f"AIDA{number}", path=f"/{number % 2}/", created_at=NOW)
            for number in numbers
        )
        tx.subnets.put_all(
            Subnet(
                id=f"subnet-{number:08d}",
                vpc_id=OTHER_VPC,
                name=f"subnet-{number}",
                cidrs=(f"10.{number // 250}.{number % 250}.0/24",),
                availability_zone="us-east-1a",
            )
            for number in numbers
        )
        tx.security_groups.put_all(
            replace(default_group(f"sg-{number:08d}", OTHER_VPC), name=f"group-{number}")
            for number in numbers
        )


@contextmanager
def counted(world: World) -> Iterator[list[int]]:
    """The steps of SQLite's virtual machine, in tens, and the statements, within."""
    counts = [0, 0]

    def step() -> int:
        counts[0] += 1
        return 0

    def watch(connection: Any, *_: object) -> None:
        connection.set_progress_handler(step, STEPS)

    def statement(*_: object) -> None:
        counts[1] += 1

    engine = world.store.engine
    engine.dispose()
    event.listen(engine, "checkout", watch)
    event.listen(engine, "before_cursor_execute", statement)
    try:
        yield counts
    finally:
        event.remove(engine, "checkout", watch)
        event.remove(engine, "before_cursor_execute", statement)
        engine.dispose()


Calls = dict[str, Callable[[], Any]]


def calls(world: World) -> Calls:
    ec2, iam = world.client("ec2"), world.client("iam")

    def instances(*filters: tuple[str, str], **more: Any) -> Callable[[], Any]:
        asked = [{"Name": name, "Values": [value]} for name, value in filters]
        return lambda: ec2.describe_instances(Filters=asked, **more)

    page = {"MaxResults": 5}
    return {
        "a page": lambda: ec2.describe_instances(**page),
        "by id": lambda: ec2.describe_instances(InstanceIds=[INSTANCE]),
        "one tag": instances(("tag:Name", "host-7")),
        "half have the tag": instances(("tag:env", "dev"), **page),
        "no such key": instances(("tag-key", "nothing")),
        "no such value": instances(("tag-value", "nothing")),
        "a beginning of a value": instances(("tag:Name", "host-69*"), **page),
        "few of many": instances(("instance-state-name", "running"), ("tag:Name", "host-9"), **page),
        "many of many": instances(("instance-state-code", "16"), ("tag:env", "dev"), **page),
        "an address": instances(("private-ip-address", "10.0.0.17")),
        "a subnet": instances(("subnet-id", SUBNET), **page),
        "a VPC and a zone": instances(("vpc-id", VPC), ("availability-zone", "us-east-1a"), **page),
        "a rare group": instances(("instance.group-id", "sg-0000000000000000f")),
        "a common group": instances(("instance.group-name", "default"), **page),
        # Those with few instances: those of a page are counted, for the addresses that are free.
        "subnets": lambda: ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [OTHER_VPC]}], **page),
        "groups": lambda: ec2.describe_security_groups(**page),
        "a group's name": lambda: ec2.describe_security_groups(GroupNames=["group-7"]),
        "tags": lambda: ec2.describe_tags(**page),
        "tags of a common key": lambda: ec2.describe_tags(
            Filters=[{"Name": "key", "Values": ["env"]}], **page
        ),
        "tags of a value": lambda: ec2.describe_tags(Filters=[{"Name": "value", "Values": ["host-7"]}]),
        "endpoints of a VPC": lambda: ec2.describe_instance_connect_endpoints(
            Filters=[{"Name": "vpc-id", "Values": [VPC]}]
        ),
        "users": lambda: iam.list_users(MaxItems=5),
        "users of a path": lambda: iam.list_users(MaxItems=5, PathPrefix="/1/"),
        "a user": lambda: iam.get_user(UserName="user-7"),
    }


def test_no_call_costs_the_store_more_where_there_is_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transaction, "time_limit", lambda *_: nullcontext())
    grow(world, 0, SMALL)
    asked = calls(world)
    before, after = cost(world, asked), cost(world, asked, lambda: grow(world, SMALL, LARGE))
    for name, (steps, statements) in after.items():
        # A row that is looked at in vain is some ten steps.
        assert steps <= 1.5 * before[name][0] + 20, (name, before[name], after[name])
        assert statements <= before[name][1], (name, before[name], after[name])


def cost(world: World, asked: Calls, first: Callable[[], None] = lambda: None) -> dict[str, tuple[int, int]]:
    first()
    found = {}
    for name, call in asked.items():
        with counted(world) as counts:
            call()
        found[name] = counts[0], counts[1]
    return found


def test_what_the_store_computes_for_filters_is_bounded_and_takes_turns(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    grow(world, 0, 3000)
    describe = world.client("ec2").describe_instances
    costly = [{"Name": "tag-value", "Values": ["*a*b*c*d"]}]
    assert describe(Filters=costly)["Reservations"] == []
    with monkeypatch.context() as patch:
        patch.setattr(work_budget, "MOST", 0.0)
        with pytest.raises(ClientError, match="FilterLimitExceeded"):
            describe(Filters=costly)
    with monkeypatch.context() as patch, work_budget._turn:
        patch.setattr(work_budget, "FREE", -1.0)
        patch.setattr(work_budget, "LONGEST_WAIT", 0.01)
        with pytest.raises(ClientError, match="RequestLimitExceeded"):
            describe(Filters=costly)
    # So do patterns with many stars, however few rows there are: PostgreSQL's LIKE is slow with them.
    with monkeypatch.context() as patch, work_budget._turn:
        patch.setattr(work_budget, "LONGEST_WAIT", 0.01)
        for values, code in ((["*a" * 5], "RequestLimitExceeded"), (["*a" * 4], None)):
            filters = [{"Name": "tag:none", "Values": values}]
            if code is None:
                assert describe(Filters=filters)["Reservations"] == []
            else:
                with pytest.raises(ClientError, match=code):
                    describe(Filters=filters)
    # The connection has no limit any more.
    assert describe(Filters=costly)["Reservations"] == []


def test_pages_of_filtered_instances_hold_each_once(world: World) -> None:
    grow(world, 0, SMALL)
    expected = sorted(one.id for one in map(instance, range(SMALL)) if one.tags["env"] == "dev")
    with world.store.write() as tx:
        tx.instances.delete(INSTANCE)
    pages = world.client("ec2").get_paginator("describe_instances")
    for filters in (
        [{"Name": "tag:env", "Values": ["dev"]}],
        [{"Name": "tag:env", "Values": ["d?v", "nothing"]}, {"Name": "instance-state-name", "Values": ["*"]}],
        [{"Name": "tag-value", "Values": ["dev"]}, {"Name": "vpc-id", "Values": [VPC, OTHER_VPC]}],
    ):
        found = [
            one["Instances"][0]["InstanceId"]
            for page in pages.paginate(Filters=filters, PaginationConfig={"PageSize": 200})
            for one in page["Reservations"]
        ]
        assert found == expected
