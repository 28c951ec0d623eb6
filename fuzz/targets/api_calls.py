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
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import structlog
from tests.control.harness import ARNS, REGION, Credentials, furnish, root_key

from fuzz.draws import Draws, noise
from hatchway.access.context import Origin
from hatchway.access.vault import Vault
from hatchway.audit.group_commit import GroupCommit
from hatchway.audit.refusals import Refusals
from hatchway.control.attempt import ApiRequest
from hatchway.control.catalogue import OPERATIONS
from hatchway.control.dispatcher import Dispatcher
from hatchway.control.plane import ControlPlane
from hatchway.protocol import load_service
from hatchway.sigv4 import HttpRequest, sign_headers
from hatchway.store import Store
from hatchway.store.tables import audit_records

if TYPE_CHECKING:
    from hatchway.audit.events import EventSource

_CALLS = sorted((service, name) for service, name in OPERATIONS if not name.startswith(("Apply", "Export")))


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
    store = Store.open(f"sqlite:///{directory}/store.db")
    stack.callback(store.close)
    store.migrate()
    vault = Vault(b"\7" * 32)
    with store.write() as tx:
        furnish(tx, datetime.now(UTC))
        root = root_key(tx, vault)
    audit = GroupCommit(store)
    stack.callback(audit.close)
    plane = ControlPlane(
        store=store,
        vault=vault,
        log=audit,
        arns=ARNS,
        clock=lambda: datetime.now(UTC),
        random_bytes=os.urandom,
        refusals=_AllRecorded(),
    )
    return _Api(store, Dispatcher(plane), root)


def one_input(data: bytes) -> None:
    draws = Draws(data)
    service_name, operation = draws.one_of(_CALLS)
    service = load_service(service_name)
    agent = draws.octets(30).decode("latin-1") if draws.chance(2) else "fuzz"
    if service.model.protocol == "json":
        headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", f"{service.model.metadata['targetPrefix']}.{operation}"),
        ]
        body = draws.rest()
    else:
        headers = [("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")]
        body = f"Action={operation}&Version={service.model.api_version}&".encode() + draws.rest()
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
    fitting = [
        bytes((at, 0)) + body
        for at, (service, _) in enumerate(_CALLS)
        for body in bodies
        if body.startswith(b"{") is (load_service(service).model.protocol == "json")
    ]
    return fitting + noise(10)
