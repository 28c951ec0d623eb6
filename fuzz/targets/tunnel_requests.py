"""Whole requests for a tunnel, well signed or not: each is decided, its event is one line that reads back."""

from __future__ import annotations

import atexit
import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.gateway.account import GATEWAY_KEY, HOST, StoredAccount, allow, new_admission, stored_account

from fuzz.draws import Draws, noise
from hatchway.audit.events import Outcome
from hatchway.audit.log import to_record
from hatchway.gateway.admission.decision import Admitted, Deferred
from hatchway.gateway.admission.refusal import render_refusal
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.transport.websocket.handshake import BadHandshake, Head, read_head

if TYPE_CHECKING:
    from hatchway.gateway.admission.admission import Admission

_REQUEST_ID = "b6a1f0c2-1111-4222-8333-444455556666"

_PARAMETERS = ("remotePort", "privateIpAddress", "maxTunnelDuration", "instanceConnectEndpointId", "extra")
_VALUES = (22, "10.0.1.1", "::ffff:10.0.1.1", "fd00::1", 3600, "")


class _NoLoad:
    def __len__(self) -> int:
        return 0

    def on_endpoint(self, endpoint_id: str) -> int:
        return 0

    def of_principal(self, arn: str) -> int:
        return 0


@cache
def _account() -> tuple[StoredAccount, Admission]:
    stack = ExitStack()
    atexit.register(stack.close)
    account = stack.enter_context(stored_account())
    account.user("alice", allow({"StringNotLike": {"aws:UserAgent": "*\U0001f600*"}}))
    snapshot = Snapshot(GATEWAY_KEY)
    snapshot.apply(account.store.changes())
    return account, new_admission(snapshot, _NoLoad())


def one_input(data: bytes) -> None:
    draws = Draws(data)
    account, admission = _account()
    now = datetime.now(UTC)
    name = draws.one_of(_PARAMETERS)
    text = draws.text(20).encode("utf-8", "replace").decode()
    changed: dict[str, Any] = {name: draws.one_of((*_VALUES, text))}
    target = account.target("alice", now=now, **changed)
    at = draws.below(len(target) + 1)
    if draws.chance(2):
        target = target[:at] + draws.octets(3).decode("latin-1") + target[at + draws.below(3) :]
    agent = draws.octets(60)
    raw = (
        f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: ".encode("latin-1")
        + agent
        + b"\r\n"
        + draws.rest()
    )
    try:
        head = read_head(raw.partition(b"\r\n\r\n")[0].removesuffix(b"\r\n"))
    except BadHandshake:
        return
    decided(admission, head, now)


def decided(admission: Admission, head: Head, now: datetime) -> None:
    outcome = admission.decide(
        head, source_ip="192.0.2.7", request_id=_REQUEST_ID, tunnel_id="tun-1", now=now
    )
    if isinstance(outcome, Deferred):
        outcome = outcome.refusal
    if isinstance(outcome, Admitted):
        told = Outcome(additional=outcome.additional)
        assert "\U0001f600" not in head.user_agent
        # What the decision was about stays what it was.
        assert admission.reevaluate(outcome, now).revoked is None
        assert admission.decide(
            replace(head, headers=tuple(one for one in head.headers if one[0] != "user-agent")),
            source_ip="192.0.2.7",
            request_id=_REQUEST_ID,
            tunnel_id="tun-1",
            now=now,
        )
    else:
        refusal = outcome.refusal
        answer = render_refusal(refusal, _REQUEST_ID)
        assert answer.isascii()
        assert len(answer) < 4096
        assert 400 <= refusal.status < 500
        told = Outcome(
            error_code=refusal.error_code, error_message=refusal.message, additional=outcome.additional
        )
    event = outcome.call.event("OpenTunnel", "e-1", now, told)
    record = to_record(event, now)
    # One event is one line, whoever splits them, and is what went in.
    record.body.encode()
    assert len(record.body.splitlines()) == 1
    assert "\0" not in record.body
    assert json.loads(record.body) == event
    assert len(record.body) < 64 * 1024
    for key in (record.access_key_id, record.user_name):
        assert key is None or key.isprintable()


def seeds() -> list[bytes]:
    agents = [b"aws-cli/2.36", b"\xff\xfe", b"a\xe2\x80\xa8b", b"\xc2\x85", b"x" * 59, b"\xed\xa0\x80"]
    heads = [bytes((choice, value, 0, 0, 0)) for choice in range(5) for value in range(7)]
    return (
        [head + bytes((len(agent),)) + agent for head in heads for agent in agents[:2]]
        + [b"\0\0\0\0\0" + bytes((len(agent),)) + agent for agent in agents]
        + noise(20)
    )
