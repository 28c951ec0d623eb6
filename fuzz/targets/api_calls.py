"""Whole signed calls of the API: none is answered with a fault of ours, each is in the audit trail."""

from __future__ import annotations

import atexit
import json
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_SUBNET,
    OTHER_VPC,
    REGION,
    SSH_GROUP,
    STOPPED_INSTANCE,
    SUBNET,
    VPC,
    Credentials,
    furnish,
    root_key,
)
from tests.store.migrated import empty_store

from fuzz.draws import Draws, noise
from fuzz.shapes import Values, serialized
from hatchway.access.context import Origin
from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.refusals import Refusals
from hatchway.control.catalogue import OPERATIONS
from hatchway.control.dispatcher import Dispatcher
from hatchway.control.plane import ControlPlane
from hatchway.control.request_state import ApiRequest
from hatchway.keys.vault import Vault
from hatchway.protocol import load_service
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signing import sign_headers
from hatchway.store.tables import audit_records

if TYPE_CHECKING:
    from hatchway.audit.events import EventSource
    from hatchway.store import Store

_CALLS = sorted((service, name) for service, name in OPERATIONS if not name.startswith("Apply"))


_DOCUMENT = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
_WORDS = {
    "InstanceId": [INSTANCE, STOPPED_INSTANCE],
    "InstanceIds": [INSTANCE, STOPPED_INSTANCE],
    "VpcId": [VPC, OTHER_VPC],
    "VpcIds": [VPC, OTHER_VPC],
    "SubnetId": [SUBNET, OTHER_SUBNET],
    "SubnetIds": [SUBNET, OTHER_SUBNET],
    "GroupId": [SSH_GROUP, DEFAULT_GROUP],
    "GroupIds": [SSH_GROUP, DEFAULT_GROUP],
    "SecurityGroupIds": [SSH_GROUP, DEFAULT_GROUP],
    "Resources": [INSTANCE, VPC, SUBNET, SSH_GROUP],
    "UserName": ["alice", "bob"],
    "GroupName": ["engineers", "ssh-in"],
    "RoleName": ["on-call", "AWSServiceRoleForEC2InstanceConnect"],
    "PolicyName": ["connect", "extra"],
    "PolicyDocument": [_DOCUMENT],
    "Policy": [_DOCUMENT],
    "Arn": [ARNS.user("alice", "/"), ARNS.role("on-call", "/"), "arn:aws:iam::123456789012:policy/connect"],
    "Path": ["/", "/team/"],
    "CidrBlock": ["10.0.0.0/16", "10.0.3.0/24", "fd00:1:0:1::/64"],
    "CidrIp": ["10.0.0.0/16", "0.0.0.0/0"],
    "IpProtocol": ["tcp", "-1"],
    "Key": ["Name", "env"],
    "AccessKeyId": ["AKIAAAAAAAAAAAAAAAAA"],
}
"""What exists, or may come to, by the end of the members' names that take it."""


@dataclass(frozen=True)
class _Api:
    store: Store
    dispatcher: Dispatcher
    root: Credentials


class _AllRecorded(Refusals):
    """Has each refusal recorded by itself, however many there are."""

    def admit(self, source: EventSource, name: str, code: str, *, time: datetime, now: float) -> bool:
        return True


@cache
def _api() -> _Api:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    stack = ExitStack()
    atexit.register(stack.close)
    # Memory, where there is any, for the thousands of commits.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = stack.enter_context(TemporaryDirectory(dir=memory))
    store = empty_store(Path(directory, "store.db"))
    stack.callback(store.close)
    vault = Vault(b"\7" * 32)
    with store.write() as tx:
        furnish(tx, datetime.now(UTC))
        root = root_key(tx, vault)
    audit = GroupCommit(store)
    stack.callback(audit.close)
    plane = ControlPlane(
        store=store,
        vault=vault,
        gateway_vault=Vault(b"\6" * 32),
        log=audit,
        arns=ARNS,
        clock=lambda: datetime.now(UTC),
        random_bytes=os.urandom,
        refusals=_AllRecorded(),
    )
    return _Api(store, Dispatcher(plane), root)


def one_input(data: bytes) -> None:
    draws = Draws(data)
    service_name, name = draws.one_of(_CALLS)
    service = load_service(service_name)
    agent = draws.octets(30).decode("latin-1") if draws.chance(2) else "fuzz"
    if draws.chance(2):
        operation = service.model.operation_model(name)
        shape = operation.input_shape
        given = {} if shape is None else Values(draws, _WORDS).of(shape)
        _, _, content_type, more, body = serialized(service, operation, given)
        headers = [("Content-Type", content_type)]
        headers += [("X-Amz-Target", more["x-amz-target"])] if "x-amz-target" in more else []
    elif service.model.protocol == "json":
        headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", f"{service.model.metadata['targetPrefix']}.{name}"),
        ]
        body = draws.rest()
    else:
        headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
        body = f"Action={name}&Version={service.model.api_version}&".encode() + draws.rest()
    answered(service_name, [("User-Agent", agent), *headers], body)


def answered(service: str, headers: list[tuple[str, str]], body: bytes, query: str = "") -> int:
    """Send a call as root; its status. It is no fault of the server's, and there is one record of it."""
    api = _api()
    http = HttpRequest("POST", "/", query, (("Host", "api.hatchway.test"), *headers), body)
    added = sign_headers(
        http,
        access_key_id=api.root.access_key_id,
        secret_access_key=api.root.secret,
        region=REGION,
        service=service,
        now=datetime.now(UTC),
    )
    request_id = os.urandom(16).hex()
    origin = Origin("192.0.2.7", dict(headers).get("User-Agent", ""), secure=True)
    http = HttpRequest("POST", "/", query, (*http.headers, *added), body)
    reply = api.dispatcher.dispatch(ApiRequest(http, origin, request_id)).reply
    assert reply.status < 500, (reply.status, reply.body[:300])
    reply.body.decode()
    with api.store.read() as tx:
        records = tx.audit_records.find(audit_records.c.request_id == request_id)
    assert len(records) == 1, f"{len(records)} records"
    event = json.loads(records[0].body)
    assert event["requestID"] == request_id
    assert event["userIdentity"]["type"] == "Root", event
    return reply.status


def seeds() -> list[bytes]:
    bodies = [
        b'{"InstanceId": "i-0000000000000000a", "InstanceOSUser": "ec2-user", "SSHPublicKey": "ssh"}',
        b'{"\\ud800": 1}',
        b'{"NextToken": "YQA="}',
        b'{"TunnelId": "tun-\\u0000"}',
        b"UserName=alice&Path=%2F&Tags.member.1.Key=a&Tags.member.1.Value=b",
        b"UserName=alice&PolicyName=p&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%5D%7D",
        b"Filter.1.Name=tag%3Aa&Filter.1.Value.1=%2A&MaxResults=5&NextToken=YQ%3D%3D",
        b"SubnetId=subnet-0000000000000000a&SecurityGroupId.1=sg-0000000000000000a&ClientToken=%C3%A9",
        b"InstanceConnectEndpointId=eice-0000000000000000a&DryRun=true",
        b"PolicyInputList.member.1=%7B%22Statement%22%3A%5B%5D%7D&ActionNames.member.1=ec2%3A%2A"
        b"&ContextEntries.member.1.ContextKeyName=aws%3AUserAgent&ContextEntries.member.1.ContextKeyType=string",
        b"Marker=%00&MaxItems=1",
        b"EncodedMessage=abc",
    ]
    return [*_written(bodies), *_shaped(), *noise(10)]


def _written(bodies: list[bytes]) -> list[bytes]:
    """Each body for some call whose protocol it is in."""
    calls = {
        is_json: [at for at, (service, _) in enumerate(_CALLS) if _is_json(service) is is_json]
        for is_json in (True, False)
    }
    return [
        _chosen(at) + b"\0\0" + body
        for number, body in enumerate(bodies)
        for at in calls[body.startswith(b"{")][number :: len(bodies)]
    ]


def _shaped() -> list[bytes]:
    """A call of each operation as its model has it."""
    return [_chosen(at) + b"\0\1" + Random(at).randbytes(150) for at in range(len(_CALLS))]


def _chosen(at: int) -> bytes:
    """What draws the call at this place."""
    return at.to_bytes(1 if len(_CALLS) <= 256 else 4)


def _is_json(service: str) -> bool:
    return str(load_service(service).model.protocol) == "json"
