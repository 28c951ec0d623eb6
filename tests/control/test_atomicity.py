"""A write that ends at any of its statements has done nothing; one that is done has its record.

As when the process is killed there: what its transaction did before is undone with it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
import structlog
from botocore.exceptions import ClientError
from sqlalchemy import event, select
from tests.control.harness import INSTANCE, SSH_GROUP, SUBNET, VPC, World

from hatchway.control import dispatcher
from hatchway.protocol.service_models import OWN_MODELS
from hatchway.store.tables import metadata

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "123456789012"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        },
    }
)
TAGS = [{"Key": "env", "Value": "dev"}]
OF_THE_TRAIL = {"audit_records", "audit_unindexed", "audit_unexported"}

Write = tuple[str, Callable[[Any], Any]]
LOOKING = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}
)
WRITES: dict[str, Write] = {
    "CreateUser": ("iam", lambda iam: iam.create_user(UserName="bob", Tags=TAGS)),
    "CreateAccessKey": ("iam", lambda iam: iam.create_access_key(UserName="alice")),
    "CreatePolicy": ("iam", lambda iam: iam.create_policy(PolicyName="p", PolicyDocument=LOOKING)),
    "UpdateUser": ("iam", lambda iam: iam.update_user(UserName="alice", NewUserName="alicia")),
    "DeleteRole": ("iam", lambda iam: iam.delete_role(RoleName="on-call")),
    "AssumeRole": (
        "sts",
        lambda sts: sts.assume_role(
            RoleArn="arn:aws:iam::123456789012:role/on-call", RoleSessionName="work", Tags=TAGS
        ),
    ),
    "CreateInstanceConnectEndpoint": (
        "ec2",
        lambda ec2: ec2.create_instance_connect_endpoint(SubnetId=SUBNET, ClientToken="once"),
    ),
    "CreateVpc": (
        "ec2",
        lambda ec2: ec2.create_vpc(
            CidrBlock="10.9.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": TAGS}]
        ),
    ),
    "AuthorizeSecurityGroupIngress": (
        "ec2",
        lambda ec2: ec2.authorize_security_group_ingress(
            GroupId=SSH_GROUP, IpProtocol="tcp", FromPort=80, ToPort=81, CidrIp="10.0.0.0/8"
        ),
    ),
    "CreateTags": ("ec2", lambda ec2: ec2.create_tags(Resources=[INSTANCE, VPC, SUBNET], Tags=TAGS)),
    "RegisterInstance": (
        "hatchway",
        lambda own: own.register_instance(Name="new", SubnetId=SUBNET, PrivateIpAddress="10.0.1.77"),
    ),
}


class Ended(Exception):
    """The process is gone."""


@contextmanager
def ending_at(world: World, statement: int) -> Iterator[list[str]]:
    """Whatever writes ends at its statement of this number, once. Gives the statements that there were."""
    told: list[str] = []

    def before(_conn: Any, _cursor: Any, text: str, *_rest: Any) -> None:
        if text.partition(" ")[0] in {"INSERT", "UPDATE", "DELETE"}:
            told.append(text)
            if len(told) == statement:
                raise Ended

    event.listen(world.store.engine, "before_cursor_execute", before)
    try:
        yield told
    finally:
        event.remove(world.store.engine, "before_cursor_execute", before)


def account(world: World) -> dict[str, set[str]]:
    """All that there is, but for the trail."""
    with world.store.engine.connect() as connection:
        return {
            table.name: {str(tuple(row)) for row in connection.execute(select(table))}
            for table in metadata.sorted_tables
            if table.name not in OF_THE_TRAIL
        }


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """With our model beside botocore's own."""
    session = boto3.Session()
    session._loader.search_paths.append(str(OWN_MODELS))
    return session


@pytest.mark.parametrize("name", WRITES)
def test_a_write_that_ends_at_any_of_its_statements_has_done_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Drawing a traceback for each end takes longer than all else here.
    monkeypatch.setattr(dispatcher, "log", structlog.wrap_logger(structlog.ReturnLogger(), processors=[]))
    service, write = WRITES[name]
    alice = world.user("alice", {"Effect": "Allow", "Action": "*", "Resource": "*"})
    client = world.client(service, alice, retries={"total_max_attempts": 1})
    world.client("iam").create_role(RoleName="on-call", AssumeRolePolicyDocument=TRUST)
    before = account(world)
    statement = 0
    while True:
        statement += 1
        with ending_at(world, statement) as told:
            try:
                write(client)
            except ClientError as refusal:
                assert refusal.response["ResponseMetadata"]["HTTPStatusCode"] == 500, refusal
                assert account(world) == before, told[statement - 1]
                continue
        break
    assert statement > 2
    assert account(world) != before
    outcomes = [event.get("errorCode") for event in world.events(name)]
    assert outcomes.count(None) == 1
