"""Events that are older than they are to be kept go, bit by bit."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.audit.test_events import open_tunnel
from tests.store.migrated import empty_store

from hatchway.audit.events import Outcome
from hatchway.audit.export import Export
from hatchway.audit.log import to_record
from hatchway.audit.retention import RetentionRun
from hatchway.audit.terms import READ_ONLY
from hatchway.store import Store
from hatchway.store.tables import audit_lookups

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
    return RetentionRun(store, lambda: NOW)


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
        terms = tx.audit_records.values(audit_lookups.c.event_id, where=[audit_lookups.c.term.in_(READ_ONLY)])
    assert oldest == NOW - timedelta(days=400)
    assert len(terms) == 401


def test_where_nothing_is_exported_that_goes_too_when_it_is_said(store: Store) -> None:
    run = keep(store, 1000, unexported_too=True)
    assert run.run() == 499
    assert count(store) == 1001


def test_a_page_goes_on_where_events_went_meanwhile(store: Store) -> None:
    with store.read() as tx:
        page = tx.audit_records.newest("ReadOnly=false", since=None, until=None, before=None, limit=1200)
    run = keep(store, 1000, unexported_too=True)
    run.run()
    last = page[-1]
    with store.read() as tx:
        rest = tx.audit_records.newest(
            "ReadOnly=false", since=None, until=None, before=(last.event_time, last.event_id), limit=9
        )
    assert rest == []


def test_what_is_said_while_events_are_read_holds_at_once(store: Store) -> None:
    keep(store, 1000, unexported_too=True)

    def change() -> datetime:
        keep(store, None)
        return NOW

    assert RetentionRun(store, change).run() == 0
    assert count(store) == 1500
