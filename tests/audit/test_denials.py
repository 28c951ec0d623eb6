"""What was refused is found however much somebody has entered of the same request."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hatchway.audit import denials
from hatchway.audit.denials import events_beginning, events_of, last_denial
from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.domain.account import AuditRecord
from hatchway.store import Store
from hatchway.store.rows import Rows
from hatchway.store.trail import event_bodies
from hatchway.store.trail.event_bodies import Found, Place

NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
LARGE = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{tmp_path}/hatchway.db")) as opened:
        opened.migrate()
        yield opened


@pytest.fixture
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each look at events."""
    sizes: list[int] = []

    def look(rows: Rows[Any], places: Sequence[Place]) -> list[Found]:
        found = event_bodies.events_at(rows, places)
        sizes.append(sum(len(each.body) for each in found))
        return found

    monkeypatch.setattr(denials, "events_at", look)
    return sizes


def _denial(number: int, user: str, *, size: int = 0) -> AuditRecord:
    source = EventSource(
        account="123456789012",
        region="us-east-1",
        event_source="iam.amazonaws.com",
        request_id="r-1",
        source_ip="192.0.2.7",
        user_agent="",
        user_identity={"type": "IAMUser", "userName": user},
    )
    time = NOW + timedelta(seconds=number)
    body = event(
        source,
        event_id=f"e{number}",
        time=time,
        name="CreateUser",
        read_only=False,
        request_parameters=None,
        outcome=Outcome(error_code="AccessDenied", error_message="no"),
    )
    record = to_record(body, time)
    # As who has a gateway's role may enter it.
    return replace(record, body=json.dumps({**json.loads(record.body), "more": "x" * size}))


Ask = Callable[[Store], object]


def _by_id(store: Store) -> object:
    with store.read() as tx:
        return events_of(tx, "r-1")


def _by_beginning(store: Store) -> object:
    with store.read() as tx:
        return events_beginning(tx, "r-")


def _latest(store: Store) -> object:
    with store.read() as tx:
        return last_denial(tx, lambda event: event["userIdentity"]["userName"] == "alice")


@pytest.mark.parametrize("ask", [_by_id, _by_beginning, _latest])
def test_of_large_texts_no_more_are_read_together_than_memory_is_for(
    store: Store, read_at_once: list[int], ask: Ask
) -> None:
    with store.record() as tx:
        tx.audit_records.add_all([_denial(n, "mallory", size=LARGE) for n in range(1, 13)])
        tx.audit_records.add(_denial(0, "alice"))
    assert ask(store)
    assert max(read_at_once) <= event_bodies.MOST_AT_ONCE


def test_somebodys_latest_denial_is_found_behind_larger_ones_of_others(store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add_all([_denial(n, "mallory", size=LARGE) for n in range(1, 13)])
        tx.audit_records.add(_denial(0, "alice"))
    with store.read() as tx:
        found = last_denial(tx, lambda event: event["userIdentity"]["userName"] == "alice")
    assert found is not None and found["eventID"] == "e0"
