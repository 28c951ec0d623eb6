"""The store's own commits are those of tunnels: the same records, each tunnel entered and gone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.gateway.commits import Events, enter, events_of_a_tunnel
from tests.store.migrated import new_sqlite_store

from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.store import Store

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SOURCE = EventSource(
    account="123456789012",
    region="us-east-1",
    event_source="ec2-instance-connect.amazonaws.com",
    request_id="asked",
    source_ip="127.0.0.1",
    user_agent="bench",
    user_identity={"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIA", "principalId": "AIDA"},
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hatchway.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = new_sqlite_store(path)
    yield opened
    opened.close()


def put(store: Store, name: str, number: int, outcome: Outcome) -> str:
    told = event(
        SOURCE,
        event_id=f"{name} {number}",
        time=NOW,
        name=name,
        read_only=False,
        request_parameters={"instanceConnectEndpointId": "eice-0123456789abcdef0"},
        outcome=outcome,
    )
    record = to_record(told, NOW + timedelta(seconds=number))
    with store.record() as tx:
        tx.audit_records.add(record)
    return record.body


def tunnel(number: int) -> Outcome:
    return Outcome(
        additional={"tunnelId": f"tun-{number}", "decision": {"checks": ["as long as that of one"]}}
    )


def test_the_events_are_of_one_tunnel_that_opened_and_ended(store: Store, path: Path) -> None:
    put(store, "DescribeInstances", 0, Outcome())
    put(store, "OpenTunnel", 1, Outcome(error_code="AccessDenied", additional={"tunnelId": "tun-2"}))
    put(store, "CloseTunnel", 2, tunnel(2))
    put(store, "OpenTunnel", 3, tunnel(3))
    opened, closed = put(store, "OpenTunnel", 4, tunnel(4)), put(store, "CloseTunnel", 5, tunnel(4))
    assert events_of_a_tunnel(f"sqlite:///{path}") == Events(opened, closed)


def test_without_a_tunnel_there_are_no_events(store: Store, path: Path) -> None:
    put(store, "OpenTunnel", 1, tunnel(1))
    with pytest.raises(LookupError):
        events_of_a_tunnel(f"sqlite:///{path}")


def test_each_tunnel_has_its_two_events_as_they_are_and_is_gone_after(store: Store) -> None:
    opened, closed = put(store, "OpenTunnel", 1, tunnel(1)), put(store, "CloseTunnel", 2, tunnel(1))
    assert enter(store, Events(opened, closed), 6, at_once=4, pace=1000.0) > 0
    with store.read() as tx:
        bodies = [json.loads(record.body) for record in tx.audit_records.find()]
        assert tx.tunnels.count() == 0
    entered = [body for body in bodies if body["additionalEventData"]["tunnelId"] != "tun-1"]
    assert len(entered) == 2 * (6 + 4)
    assert len({body["eventID"] for body in entered}) == len(entered)
    by_tunnel: dict[str, set[str]] = {}
    for body in entered:
        by_tunnel.setdefault(body["additionalEventData"].pop("tunnelId"), set()).add(body["eventName"])
        original = json.loads(opened if body["eventName"] == "OpenTunnel" else closed)
        original["additionalEventData"].pop("tunnelId")
        assert {**body, "eventID": "", "requestID": ""} == {**original, "eventID": "", "requestID": ""}
    assert set(map(frozenset, by_tunnel.values())) == {frozenset(("OpenTunnel", "CloseTunnel"))}
