"""Events of older programs are found too, after a while."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, select
from tests.audit.false_events import NO_EVENTS, false_record

from hatchway.audit import lookup_fill
from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.log import to_record
from hatchway.audit.lookup_fill import LookupFill
from hatchway.domain.account import AuditRecord
from hatchway.store import Store
from hatchway.store.tables import audit_lookups
from hatchway.store.trail import event_bodies
from hatchway.store.trail.audit_rows import AuditRows

NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{tmp_path}/hatchway.db")) as opened:
        opened.migrate()
        yield opened


def record(number: int, ago: timedelta) -> AuditRecord:
    source = EventSource(
        account="123456789012",
        region="us-east-1",
        event_source="iam.amazonaws.com",
        request_id="r",
        source_ip="192.0.2.7",
        user_agent="",
        user_identity={"type": "IAMUser", "userName": f"user-{number % 3}"},
    )
    body = event(
        source,
        event_id=f"e{number}",
        time=NOW - ago,
        name="CreateUser",
        read_only=False,
        request_parameters=None,
        outcome=Outcome(),
    )
    return to_record(body, NOW - ago)


def fill_of(store: Store) -> LookupFill:
    return LookupFill(store, lambda: NOW, lambda: 0.0)


def enter_as_older_programs_do(store: Store, *records: AuditRecord) -> None:
    with store.record() as tx:
        tx.audit_records.add_all(replace(each, terms=()) for each in records)


def found(store: Store, term: str) -> list[str]:
    with store.read() as tx:
        newest = tx.audit_records.newest(term, since=None, until=None, before=None, limit=10_000)
    return [json.loads(each.body)["eventID"] for each in newest.found]


def in_the_index(store: Store) -> int:
    with store.read() as tx:
        return int(tx.audit_records.scalar(select(func.count()).select_from(audit_lookups)))


def test_new_events_are_found_at_once_and_entered_in_the_index_when_there_are_many(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_fill, "_TOGETHER", 4)
    monkeypatch.setattr(lookup_fill, "_ENTRIES", 7)
    fill = fill_of(store)
    for count in (3, 10):
        with store.record() as tx:
            tx.audit_records.add_all(record(number, timedelta(days=number)) for number in range(count))
        assert found(store, "EventName=CreateUser") == [f"e{number}" for number in range(count)]
        fill.enter()
        assert in_the_index(store) == (0 if count < 4 else 8 * 4)
        assert found(store, "EventName=CreateUser") == [f"e{number}" for number in range(count)]
    assert found(store, "Username=user-1") == ["e1", "e4", "e7"]


def test_a_few_new_events_wait_for_some_seconds_only(store: Store) -> None:
    seconds = 100.0
    fill = LookupFill(store, lambda: NOW, lambda: seconds)
    with store.record() as tx:
        tx.audit_records.add(record(1, timedelta(0)))
    assert fill.enter() == 0
    seconds += 60
    assert fill.enter() == 1
    assert in_the_index(store) == 4
    assert fill.enter() == 0


def test_who_is_stopped_amid_entering_leaves_what_the_next_does_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_fill, "_TOGETHER", 4)
    monkeypatch.setattr(lookup_fill, "_ENTRIES", 5)
    with store.record() as tx:
        tx.audit_records.add_all(record(number, timedelta(days=number)) for number in range(4))
    index = AuditRows.index

    def stops(rows: AuditRows, entries: Any) -> None:
        index(rows, entries)
        stopping.append(1)
        if len(stopping) == 2:
            raise KeyboardInterrupt

    stopping: list[int] = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(AuditRows, "index", stops)
        fill_of(store).enter()
    assert in_the_index(store) == 5
    assert found(store, "EventName=CreateUser") == [f"e{number}" for number in range(4)]
    assert fill_of(store).enter() == 4
    assert in_the_index(store) == 16
    assert found(store, "EventName=CreateUser") == [f"e{number}" for number in range(4)]


def test_a_trail_from_before_is_gone_through_once_newest_first_a_little_at_a_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_fill, "_AT_ONCE", 4)
    monkeypatch.setattr(lookup_fill, "_PORTIONS", 2)
    enter_as_older_programs_do(store, *(record(number, timedelta(days=number)) for number in range(10)))
    fill = fill_of(store)
    assert fill.fill() == 8
    assert found(store, "Username=user-0") == ["e0", "e3", "e6"]
    # Another process goes on where this one has stopped, at the moment that it came to.
    assert fill_of(store).fill() == 3
    assert found(store, "Username=user-0") == ["e0", "e3", "e6", "e9"]
    assert found(store, "EventName=CreateUser") == [f"e{number}" for number in range(10)]
    assert fill.fill() == 0


def test_many_events_of_one_moment_are_gone_through_like_any(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_fill, "_AT_ONCE", 2)
    enter_as_older_programs_do(store, *(record(number, timedelta(days=1)) for number in range(7)))
    enter_as_older_programs_do(store, record(7, timedelta(days=2)))
    assert fill_of(store).fill() == 8
    assert len(found(store, "EventName=CreateUser")) == 8


def test_of_many_large_texts_no_more_are_read_at_once_than_memory_is_for_even_of_one_moment(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter_as_older_programs_do(store, *(record(number, timedelta(days=1)) for number in range(7)))
    fill = fill_of(store)
    with monkeypatch.context() as patch:
        patch.setattr(event_bodies, "MOST_AT_ONCE", 1)
        assert [fill.fill(), fill.fill(), fill.fill()] == [5, 2, 0]
    assert len(found(store, "EventName=CreateUser")) == 7


def test_what_a_process_of_an_older_program_still_records_is_found_too(store: Store) -> None:
    fill = fill_of(store)
    assert fill.catch_up() == 0
    with store.record() as tx:
        tx.audit_records.add(record(1, timedelta(seconds=2)))
    enter_as_older_programs_do(store, record(2, timedelta(seconds=1)), record(4, timedelta(minutes=4)))
    assert fill.catch_up() == 2
    assert fill.catch_up() == 0
    assert found(store, "EventName=CreateUser") == ["e2", "e1", "e4"]


def test_a_clock_that_was_ahead_hides_none_of_these_when_it_is_right_again(store: Store) -> None:
    now = NOW + timedelta(days=500)
    fill = LookupFill(store, lambda: now, lambda: 0.0)
    fill.catch_up()
    now = NOW
    enter_as_older_programs_do(store, record(2, timedelta(seconds=1)))
    assert fill.catch_up() == 1


def test_an_event_that_cannot_be_read_holds_up_no_other(store: Store) -> None:
    broken = replace(record(1, timedelta(days=1)), body="{")
    other = replace(record(2, timedelta(days=2)), body='{"userIdentity": null}')
    enter_as_older_programs_do(store, record(0, timedelta(0)), broken, other, record(3, timedelta(days=3)))
    fill_of(store).fill()
    assert found(store, "EventName=CreateUser") == ["e0", "e3"]


def test_nothing_is_entered_twice(store: Store) -> None:
    enter_as_older_programs_do(store, record(1, timedelta(seconds=1)))
    fill = fill_of(store)
    fill.fill()
    fill.catch_up()
    with store.engine.begin() as connection:
        assert connection.execute(delete(audit_lookups)).rowcount == 4


def test_however_many_texts_are_no_events_those_of_older_programs_are_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has a gateway's role may enter any number, dated as he likes."""
    monkeypatch.setattr(lookup_fill, "_LOOKED_AT", 10)
    junk = false_record("{}", NOW)
    times = [NOW - timedelta(seconds=30, microseconds=-n) for n in range(70)]
    times += [NOW + timedelta(days=n) for n in range(100)]
    enter_as_older_programs_do(
        store,
        *(replace(junk, event_id=f"junk-{n}", event_time=time) for n, time in enumerate(times)),
        record(1, timedelta(seconds=20)),
    )
    fill = fill_of(store)
    # What is in front is gone through a part at a time.
    fill.catch_up()
    assert found(store, "EventName=CreateUser") == []
    fill.catch_up()
    assert found(store, "EventName=CreateUser") == ["e1"]
    enter_as_older_programs_do(store, record(2, timedelta(seconds=10)))
    for _ in range(3):
        fill.catch_up()
    assert found(store, "EventName=CreateUser") == ["e2", "e1"]


@pytest.mark.parametrize("name", NO_EVENTS)
def test_a_text_that_is_no_event_keeps_no_other_from_being_found(name: str, store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add(false_record(NO_EVENTS[name], NOW))
    enter_as_older_programs_do(store, record(1, timedelta(minutes=1)), record(2, timedelta(days=1)))
    fill = fill_of(store)
    fill.catch_up()
    assert found(store, "EventName=CreateUser") == ["e1"]
    fill.fill()
    assert found(store, "EventName=CreateUser") == ["e1", "e2"]
