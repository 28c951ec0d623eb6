"""Events that are older than they are to be kept go, bit by bit."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from tests.audit.false_events import NO_EVENTS, false_record
from tests.audit.test_events import open_tunnel
from tests.store.migrated import empty_store

from hatchway.audit.events import Outcome
from hatchway.audit.export import Export
from hatchway.audit.local_trail import record
from hatchway.audit.log import to_record
from hatchway.audit.retention import SET, RetentionRun
from hatchway.audit.terms import READ_ONLY
from hatchway.domain.account import Account
from hatchway.store import Store
from hatchway.store.tables import audit_unindexed

NOW = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path / "hatchway.db")
    with opened.record() as tx:
        # One a day, the oldest 1,500 days old.
        tx.audit_records.add_all(
            to_record(open_tunnel(f"e-{days:05}", Outcome()), NOW - timedelta(days=days))
            for days in range(1500)
        )
    yield opened
    opened.close()


def keep(store: Store, days: int | None, *, unexported_too: bool = False) -> RetentionRun:
    with store.record() as tx:
        tx.audit_records.set_retention(days, unexported_too=unexported_too)
    return RetentionRun(store, lambda: NOW, lambda: 0.0)


def count(store: Store) -> int:
    with store.read() as tx:
        return tx.audit_records.count()


def test_events_are_kept_for_ever_until_it_is_said_for_how_long(store: Store) -> None:
    assert keep(store, None, unexported_too=True).run() == 0
    assert count(store) == 1500


def test_what_is_not_yet_a_line_stays_until_it_is(store: Store, tmp_path: Path) -> None:
    run = keep(store, 400)
    assert run.run() == 0
    assert Export(store, tmp_path / "audit.jsonl").run() == 1500
    assert run.run() == 1000
    assert run.run() == 99
    assert run.run() == 0
    with store.read() as tx:
        oldest = min(event.event_time for event in tx.audit_records.find())
        # Nothing is left in the index of what went, either.
        terms = tx.audit_records.newest(READ_ONLY[1], since=None, until=None, before=None, limit=9999).found
        waiting = tx.audit_records.values(audit_unindexed.c.event_id)
    assert oldest == NOW - timedelta(days=400)
    assert len(terms) == len(waiting) == 401


def test_a_trail_that_is_exported_nowhere_is_not_read_each_second_for_what_may_go(store: Store) -> None:
    run = keep(store, 400)
    read: list[int] = []

    def look(connection: Any) -> None:
        connection.connection.driver_connection.set_progress_handler(lambda: read.append(1), 100)

    event.listen(store.engine, "begin", look)
    assert run.run() == 0
    # Steps of the database, by the hundred: each of the 1,500 events would take ten or more.
    assert len(read) < 30


def test_where_nothing_is_exported_that_goes_too_when_it_is_said(store: Store) -> None:
    run = keep(store, 1000, unexported_too=True)
    assert run.run() == 499
    assert count(store) == 1001


def test_a_page_goes_on_where_events_went_meanwhile(store: Store) -> None:
    with store.read() as tx:
        page = tx.audit_records.newest("ReadOnly=false", since=None, until=None, before=None, limit=1200)
    run = keep(store, 1000, unexported_too=True)
    run.run()
    last = page.found[-1]
    with store.read() as tx:
        rest = tx.audit_records.newest(
            "ReadOnly=false", since=None, until=None, before=(last.event_time, last.event_id), limit=9
        )
    assert rest.found == []


def test_what_is_said_while_events_are_read_holds_at_once(store: Store) -> None:
    keep(store, 1000, unexported_too=True)

    def change() -> datetime:
        keep(store, None)
        return NOW

    assert RetentionRun(store, change, lambda: 0.0).run() == 0
    assert count(store) == 1500


class Clock:
    """One that can be set, and another that cannot."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now
        self.seconds = 0.0

    def passes(self, time: timedelta) -> None:
        self.now += time
        self.seconds += time.total_seconds()

    def run(self, store: Store) -> RetentionRun:
        with store.record() as tx:
            tx.audit_records.set_retention(400, unexported_too=True)
        return RetentionRun(store, lambda: self.now, lambda: self.seconds)


SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)


def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day_in_which_it_can_be_put_right(
    store: Store,
) -> None:
    clock = Clock()
    run = clock.run(store)
    assert (run.run(), run.run()) == (1000, 99)
    clock.now += 1000 * DAY
    with capture_logs() as logs:
        assert run.run() == 0
        clock.passes(23 * HOUR)
        assert run.run() == 0
    assert [line["event"] for line in logs] == ["no old events are deleted for a day"]
    clock.now -= 1000 * DAY
    # What has become old meanwhile goes at once.
    assert run.run() == 1


def test_a_clock_that_stays_where_it_was_put_is_believed_in_the_end(store: Store) -> None:
    clock = Clock()
    run = clock.run(store)
    run.run()
    clock.now += 500 * DAY
    assert run.run() == 0
    clock.passes(DAY)
    assert run.run() > 0


def test_a_process_that_begins_with_a_clock_far_ahead_deletes_nothing_either(store: Store) -> None:
    clock = Clock(NOW + 500 * DAY)
    run = clock.run(store)
    assert run.run() == 0
    clock.passes(DAY)
    assert run.run() == 1000


def test_nothing_is_held_up_by_time_that_only_passes(store: Store) -> None:
    clock = Clock()
    run = clock.run(store)
    with capture_logs() as logs:
        while run.run():
            pass
        for _ in range(3):
            clock.passes(DAY)
            assert run.run() == 1
    assert logs == []


@pytest.mark.parametrize("name", NO_EVENTS)
def test_a_text_that_is_no_event_keeps_none_from_being_deleted(name: str, store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add(false_record(NO_EVENTS[name], NOW - timedelta(days=1499, hours=1)))
    run = keep(store, 1000, unexported_too=True)
    while run.run():
        pass
    assert count(store) == 1001


def say(
    store: Store,
    former: int | None,
    days: int | None,
    at: datetime,
    *,
    unexported_too: tuple[bool, bool] = (True, True),
    at_once: bool = False,
) -> None:
    """As `hatchway store retention` sets it, and records that."""

    def told(days: int | None) -> str:
        return "forever" if days is None else f"{days}d"

    with store.record() as tx:
        at_once_at = at if at_once else None
        tx.audit_records.set_retention(days, unexported_too=unexported_too[1], at_once_at=at_once_at)
        account = Account(id="123456789012", region="us-east-1", gateway_dns_name="h", created_at=NOW)
        parameters = {"retention": told(days), "unexportedToo": unexported_too[1], "atOnce": at_once}
        before = {"retention": told(former), "unexportedToo": unexported_too[0]}
        record(tx, account, at, SET, parameters=parameters, answer={"former": before})


def test_what_was_to_be_kept_for_longer_goes_a_day_later_and_a_slip_can_be_taken_back(store: Store) -> None:
    clock = Clock()
    run = RetentionRun(store, lambda: clock.now, lambda: clock.seconds)

    def gone() -> int:
        before = count(store)
        while run.run():
            pass
        return before - count(store)

    say(store, None, 1400, NOW)
    assert gone() == 0
    clock.passes(DAY + SECOND)
    assert gone() == 101
    # A slip, and another in the place of what it was to be: what held before both still does.
    say(store, 1400, 4, clock.now)
    say(store, 4, 40, clock.now + SECOND)
    clock.passes(23 * HOUR)
    assert gone() == 0
    say(store, 40, 1400, clock.now)
    clock.passes(2 * DAY)
    assert gone() == 2
    say(store, 1400, 1300, clock.now, at_once=True)
    assert gone() == 100


def test_what_is_in_no_file_goes_a_day_after_it_was_said_that_it_goes_too(store: Store) -> None:
    clock = Clock()
    run = RetentionRun(store, lambda: clock.now, lambda: clock.seconds)
    say(store, 1400, 1400, NOW, unexported_too=(False, True))
    assert run.run() == 0
    clock.passes(DAY + SECOND)
    assert run.run() == 101


def test_an_event_that_somebody_enters_waives_no_grace_and_lasts_no_longer_than_a_day(store: Store) -> None:
    """Who has a gateway's role in PostgreSQL may enter any."""
    clock = Clock()
    run = RetentionRun(store, lambda: clock.now, lambda: clock.seconds)

    def false(at: datetime, former: str, *, at_once: bool) -> None:
        parameters = {"retention": "1d", "unexportedToo": True, "atOnce": at_once}
        with store.record() as tx:
            account = Account(id="123456789012", region="us-east-1", gateway_dns_name="h", created_at=NOW)
            answer = {"former": {"retention": former, "unexportedToo": True}}
            record(tx, account, at, SET, parameters=parameters, answer=answer)

    say(store, None, 1400, NOW)
    false(NOW + SECOND, "1d", at_once=True)
    clock.passes(23 * HOUR)
    assert run.run() == 0
    # Nor has one of a time to come it kept for ever.
    false(NOW + 1000 * DAY, "forever", at_once=False)
    clock.passes(DAY + HOUR)
    assert run.run() == 101
