"""Texts that whoever has a gateway's role in the database may enter for events."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tests.audit.test_events import open_tunnel

from hatchway.audit.events import Outcome
from hatchway.domain.account import AuditRecord


def _but(**parts: Any) -> str:
    made = {**open_tunnel("e-false", Outcome(additional={"tunnelId": "tun-1"})), **parts}
    return json.dumps(
        {name: value for name, value in made.items() if value is not ...}, separators=(",", ":")
    )


def _by(name: Any) -> str:
    issuer = {"type": "Role", "userName": name}
    return _but(
        userIdentity={
            "type": "AssumedRole",
            "accessKeyId": "ASIAFALSE",
            "sessionContext": {"sessionIssuer": issuer},
        }
    )


NO_EVENTS: Final[Mapping[str, str]] = {
    "nested deeper than it can be read": '{"a":' + "[" * 3000 + "]" * 3000 + "}",
    "no members": "{}",
    "another kind of name": _but(eventName=["OpenTunnel"]),
    "a name that is no characters": _but(eventName="\ud800"),
    "a name with a NUL": _but(eventName="Open\0Tunnel"),
    "a number for a source": _but(eventSource=5),
    "no source": _but(eventSource=...),
    "no request": _but(requestID=...),
    "a number for a time": _but(eventTime=5),
    "a time that is none": _but(eventTime="now"),
    "a time of no zone": _but(eventTime="2026-11-24T06:17:23"),
    "no address": _but(sourceIPAddress=...),
    "a caller that is a text": _but(userIdentity="alice"),
    "a caller with a list for a name": _but(userIdentity={"type": "IAMUser", "userName": ["alice"]}),
    "a caller with members for a key": _but(userIdentity={"type": "IAMUser", "accessKeyId": {"a": 1}}),
    "resources that are texts": _but(resources=["arn"]),
    "a resource whose ARN is a number": _but(resources=[{"type": "t", "ARN": 5}]),
    "a resource that is no characters": _but(resources=[{"type": "t", "ARN": "arn:aws:x:::\ud800"}]),
    "a list beside it": _but(additionalEventData=["tunnelId"]),
    "a text for a revocation": _but(additionalEventData={"revocation": "decision"}),
}
FALSE_ROLES: Final[Mapping[str, str]] = {
    "a role with a list for a name": _by(["on-call"]),
    "a role whose name is no characters": _by("\ud800"),
    "a role with a NUL in its name": _by("on\0call"),
    "a role with an endless name": _by("r" * 10_000),
}
"""Nobody but who notes the uses of roles looks at their names."""
FALSE: Final = {**NO_EVENTS, **FALSE_ROLES}


def false_record(body: str, time: datetime, event_id: str = "e-false", **columns: Any) -> AuditRecord:
    """The row of such a text, as it may be entered: nothing is said of what it is found by."""
    said: dict[str, Any] = {
        "event_source": "ec2-instance-connect.amazonaws.com",
        "event_name": "OpenTunnel",
        "request_id": "r-false",
        "user_name": None,
        "access_key_id": "ASIAFALSE",
        **columns,
    }
    return AuditRecord(event_id=event_id, event_time=time, body=body, **said)
