"""When users and roles last tried actions, as the audit trail tells."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.event import listen as event_listen
from tests.audit.false_events import FALSE, false_record

from hatchway.audit import service_uses
from hatchway.audit.events import EventSource, Outcome, event, unknown_identity
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.log import to_record
from hatchway.audit.service_uses import ServiceUses
from hatchway.store import Store
from hatchway.store.tables import service_uses as notes

NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)
ALICE: Mapping[str, Any] = {"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE"}
ROOT: Mapping[str, Any] = {"type": "Root", "accessKeyId": "AKIAROOT"}
ON_CALL: Mapping[str, Any] = {
    "type": "AssumedRole",
    "accessKeyId": "ASIAONCALL",
    # A session may be called like a user.
    "principalId": "AROA1:alice",
    "arn": "arn:aws:sts::123456789012:assumed-role/on-call/alice",
    "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "on-call"}},
}
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{tmp_path}/hatchway.db")) as opened:
        opened.migrate()
        yield opened


_count = iter(range(1_000_000))


def enter(
    store: Store,
    ago: timedelta,
    identity: Mapping[str, Any] = ALICE,
    name: str = "DescribeVpcs",
    source: str = "ec2.amazonaws.com",
) -> None:
    made = EventSource(
        account="123456789012",
        region="us-east-1",
        event_source=source,
        request_id="r",
        source_ip="192.0.2.7",
        user_agent="",
        user_identity=identity,
    )
    body = event(
        made,
        event_id=f"e{next(_count)}",
        time=NOW - ago,
        name=name,
        read_only=True,
        request_parameters=None,
        outcome=Outcome(),
    )
    with store.record() as tx:
        tx.audit_records.add(to_record(body, NOW - ago))


def noted(store: Store) -> dict[tuple[str, str, str], timedelta]:
    with store.read() as tx:
        return {
            (use.owner_name, use.service, use.action): NOW - use.used_at for use in tx.service_uses.find()
        }


def test_the_last_try_of_each_action_is_noted_of_users_and_roles_and_of_nobody_else(store: Store) -> None:
    enter(store, 2 * HOUR)
    enter(store, HOUR)
    enter(store, HOUR, name="ListUsers", source="iam.amazonaws.com")
    enter(store, HOUR, ON_CALL)
    enter(store, HOUR, ROOT)
    enter(store, HOUR, unknown_identity("ASIASTRANGER"))
    enter(store, HOUR, name="CloseTunnel", source="ec2-instance-connect.amazonaws.com")
    enter(store, HOUR, name="RefusedCalls", source=EVENT_SOURCE)
    uses = ServiceUses(store, lambda: NOW)
    assert uses.note() == 3
    assert noted(store) == {
        ("alice", "ec2", "DescribeVpcs"): HOUR,
        ("alice", "iam", "ListUsers"): HOUR,
        ("on-call", "ec2", "DescribeVpcs"): HOUR,
    }
    assert uses.note() == 0


def test_what_is_new_is_noted_each_time_and_never_goes_back(store: Store) -> None:
    now = [NOW - HOUR]
    uses = ServiceUses(store, lambda: now[0])
    enter(store, HOUR)
    assert uses.note() == 1
    enter(store, timedelta(minutes=30))
    now[0] = NOW
    assert uses.note() == 1
    assert noted(store) == {("alice", "ec2", "DescribeVpcs"): timedelta(minutes=30)}
    # Another process, and an event that comes late.
    enter(store, timedelta(minutes=31), name="DescribeSubnets")
    enter(store, timedelta(minutes=1), ON_CALL)
    assert ServiceUses(store, lambda: NOW).note() == 1
    assert noted(store)["on-call", "ec2", "DescribeVpcs"] == timedelta(minutes=1)
    assert noted(store)["alice", "ec2", "DescribeVpcs"] == timedelta(minutes=30)


def test_a_trail_from_before_is_gone_through_a_bit_each_time_and_only_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_uses, "_ROWS_AT_ONCE", 3)
    for number in range(7):
        enter(store, (number + 1) * HOUR, name=f"Action{number % 5}")
    assert ServiceUses(store, lambda: NOW).note() == 3
    assert len(noted(store)) == 3
    # Another process goes on where this one has stopped.
    uses = ServiceUses(store, lambda: NOW)
    uses.note()
    uses.note()
    assert noted(store) == {("alice", "ec2", f"Action{number}"): (number + 1) * HOUR for number in range(5)}
    with store.read() as tx:
        assert tx.service_uses_noted.find()[0].back_to is None
    assert uses.note() == 0


def test_of_each_session_of_a_role_one_event_is_read_and_the_next_look_goes_on_with_those_that_are_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_uses, "_BODIES_AT_ONCE", 2)
    uses = ServiceUses(store, lambda: NOW)
    uses.note()
    for number in range(3):
        issuer = {"type": "Role", "userName": f"role-{number}"}
        session = {
            **ON_CALL,
            "accessKeyId": f"ASIA{number}",
            "sessionContext": {"sessionIssuer": issuer},
        }
        for second in range(10):
            enter(store, timedelta(seconds=number * 10 + second), session)
    assert uses.note() == 2
    assert noted(store).keys() == {("role-0", "ec2", "DescribeVpcs"), ("role-1", "ec2", "DescribeVpcs")}
    assert uses.note() == 1
    assert noted(store)["role-2", "ec2", "DescribeVpcs"] == timedelta(seconds=20)
    read: list[str] = []
    event_listen(store.engine, "before_cursor_execute", lambda _1, _2, sql, *_: read.append(sql))
    assert uses.note() == 0
    assert read
    assert not [sql for sql in read if "SELECT audit_records.access_key_id, audit_records.body" in sql]


def test_a_clock_that_was_ahead_hides_nothing_that_comes_when_it_is_right_again(store: Store) -> None:
    enter(store, 2 * HOUR)
    assert ServiceUses(store, lambda: NOW + timedelta(days=500)).note() == 1
    enter(store, timedelta(0), name="DescribeSubnets")
    assert ServiceUses(store, lambda: NOW).note() == 1
    assert ("alice", "ec2", "DescribeSubnets") in noted(store)


@pytest.mark.parametrize("name", FALSE)
def test_a_thief_s_text_keeps_nobody_s_uses_from_being_noted(name: str, store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add(false_record(FALSE[name], NOW - HOUR))
    enter(store, HOUR, ON_CALL)
    assert ServiceUses(store, lambda: NOW).note() == 1
    assert noted(store) == {("on-call", "ec2", "DescribeVpcs"): HOUR}


@pytest.mark.parametrize("column", range(3))
def test_what_there_is_no_room_to_note_is_passed_over(column: int, store: Store) -> None:
    most = [notes.c[name].type.length for name in ("owner_name", "service", "action")]  # type: ignore[attr-defined]
    assert list(service_uses.LONGEST) == most
    what = ["alice", "ec2", "DescribeVpcs"]
    what[column] = "x" * (most[column] + 1)
    name, source, action = what
    enter(store, HOUR, {**ALICE, "userName": name}, name=action, source=source)
    enter(store, HOUR, ON_CALL)
    assert ServiceUses(store, lambda: NOW).note() == 1
    assert noted(store).keys() == {("on-call", "ec2", "DescribeVpcs")}
