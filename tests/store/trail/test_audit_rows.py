"""Records of the audit trail, found by their terms, newest first."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine, text
from tests.e2e.waiting import wait_until
from tests.store.postgresql_server import PostgresqlServer
from tests.store.test_store import schema

from hatchway.audit.export import Export
from hatchway.domain.account import AuditRecord
from hatchway.store import Store
from hatchway.store.trail import audit_rows, due_events, event_bodies
from hatchway.store.trail.audit_rows import Retention, entries_of, in_order_of_index
from hatchway.store.trail.due_events import Round
from hatchway.store.trail.event_bodies import Found

NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def body(number: int) -> str:
    return f'{{"number":{number}}}'


def record(number: int, *terms: str, time: datetime | None = None) -> AuditRecord:
    return AuditRecord(
        event_id=f"e{number:03}",
        event_time=NOW + number * SECOND if time is None else time,
        event_source="ec2.amazonaws.com",
        event_name="OpenTunnel",
        request_id="r",
        user_name="alice",
        access_key_id=None,
        body=body(number),
        terms=terms,
    )


def numbers(found: Sequence[Found]) -> list[int]:
    return [json.loads(each.body)["number"] for each in found]


def newest(
    store: Store,
    term: str | None = None,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    before: Found | None = None,
    limit: int = 100,
) -> list[Found]:
    position = None if before is None else before[:2]
    with store.read() as tx:
        return tx.audit_records.newest(term, since=since, until=until, before=position, limit=limit).found


def pages(store: Store, term: str, limit: int) -> list[list[int]]:
    """All pages of what has a term, as whoever goes on where the one before has ended."""
    told = []
    end = None
    while True:
        with store.read() as tx:
            page = tx.audit_records.newest(term, since=None, until=None, before=end, limit=limit)
        told.append(numbers(page.found))
        end = page.end
        if end is None:
            return told


def enter_some(store: Store, limit: int) -> None:
    """In the index, of what waits for that."""
    with store.record() as tx:
        some = tx.audit_records.unindexed(limit)
        tx.audit_records.index(in_order_of_index(some))
        tx.audit_records.mark_indexed(some)


@pytest.mark.parametrize("in_the_index", [0, 4, 100])
@pytest.mark.parametrize("term", [None, "Username=alice"])
def test_records_come_newest_first_within_their_times_and_a_page_at_a_time(
    store: Store, term: str | None, in_the_index: int
) -> None:
    with store.record() as tx:
        tx.audit_records.add_all(record(number, "Username=alice", "ReadOnly=true") for number in range(7))
        # Of one moment, they are told apart by their ids.
        tx.audit_records.add_all(record(n, "Username=alice", time=NOW + 9 * SECOND) for n in (9, 7, 8))
    if in_the_index:
        enter_some(store, in_the_index)
    everything = newest(store, term)
    assert numbers(everything) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert everything[0].event_time == NOW + 9 * SECOND
    assert numbers(newest(store, term, since=NOW + SECOND, until=NOW + 3 * SECOND)) == [2, 1]
    found = [newest(store, term, limit=2)]
    while found[-1]:
        found.append(newest(store, term, before=found[-1][-1], limit=2))
    assert [each for page in found for each in page] == everything


def test_only_what_has_a_term_is_found_by_it(store: Store) -> None:
    names = ["alice", "bob", "ALICE", "alice\n", '"alice', "al%ce", "Zoë\u2028", "a" * 300]
    with store.record() as tx:
        tx.audit_records.add_all(
            record(n, "ReadOnly=true", f"Username={name}") for n, name in enumerate(names)
        )
        tx.audit_records.add(record(99))
        # What is there already stays as it was, and so do its terms.
        tx.audit_records.add(record(0, "Username=bob"))
    for limit in (3, 100):
        for n, name in enumerate(names):
            assert numbers(newest(store, f"Username={name}")) == [n]
        assert numbers(newest(store, "Username=carol")) == numbers(newest(store, "Username=")) == []
        enter_some(store, limit)
    assert numbers(newest(store))[:2] == [99, len(names) - 1]


def test_entries_that_lead_to_no_event_or_to_another_s_moment_hide_none_and_hold_nobody_up(
    store: Store,
) -> None:
    """Who had a gateway's role before the database looked at them may have entered such."""
    later = NOW + timedelta(days=365)
    junk = [(later, f"no-{number}") for number in range(30)]
    junk += [(later + number * SECOND, "e003") for number in range(30)]
    with store.record() as tx:
        tx.audit_records.add(*(record(number, "Username=alice") for number in range(5)))
        for time, event_id in junk:
            tx.audit_records.index(entries_of(time, event_id, ["Username=alice"]))
    told = pages(store, "Username=alice", limit=7)
    assert [number for page in told for number in page] == [4, 3, 2, 1, 0]
    # Each look reads as many as it was asked for, whatever they are.
    assert len(told) == (len(junk) + 5) // 7 + 1
    last = newest(store, "Username=alice", before=Found(later, "", ""), limit=3)[-1]
    assert numbers(newest(store, "Username=alice", before=last, limit=2)) == [1, 0]


def test_one_look_goes_through_so_many_events_that_are_not_in_the_index_and_the_next_goes_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_rows, "_LOOKED_THROUGH", 10)
    with store.record() as tx:
        tx.audit_records.add_all(record(n, "Username=alice" if n in (1, 5, 33) else "-") for n in range(25))
    enter_some(store, 3)
    with store.record() as tx:
        tx.audit_records.add_all(record(n, "Username=alice" if n in (25, 33) else "-") for n in range(25, 40))
        # In the index before those, as programs of before enter theirs.
        tx.audit_records.add(record(50))
        tx.audit_records.index(entries_of(NOW + 50 * SECOND, "e050", ["Username=alice"]))
    assert pages(store, "Username=alice", limit=9) == [[50, 33], [25], [], [5, 1]]
    assert pages(store, "Username=alice", limit=1) == [[50], [33], [25], [], [5], [1], []]


def test_what_cannot_be_a_term_is_left_out_when_others_are_entered(store: Store) -> None:
    lines = ["", '"Username=alice"', "7", "null", '"\\ud800"', '"a\\u0000"', f'"{"x" * 321}"', ""]
    insert = "INSERT INTO audit_unindexed (moment, event_id, terms) VALUES (1, :id, :terms)"
    with store.engine.begin() as connection:
        for event_id, terms in (("a", "\n".join(lines)), ("b", '\n"'), ("c", "\n" + "[" * 100_000)):
            connection.execute(text(insert), {"id": event_id, "terms": terms})
    with store.read() as tx:
        some = tx.audit_records.unindexed(9)
    assert [(each.event_id, each.terms) for each in some] == [
        ("a", ("Username=alice",)),
        ("b", ()),
        ("c", ()),
    ]
    enter_some(store, 9)
    assert everything(store)["audit_unindexed"] == 0


def test_a_page_is_read_from_an_index_in_its_order(store: Store) -> None:
    """Whatever the length of the trail: neither a scan nor a sort of all that has the term."""
    with store.record() as tx:
        tx.audit_records.add_all(record(number, f"Username={number % 5}") for number in range(200))
    enter_some(store, 200)
    if not store.is_sqlite:
        with store.engine.connect() as connection:
            connection.execute(text("ANALYZE"))
            connection.execute(text("SET enable_seqscan = off"))
            connection.commit()
    plans = []
    with store.engine.connect() as connection:
        explain = "EXPLAIN QUERY PLAN" if store.is_sqlite else "EXPLAIN"
        for query in (
            "SELECT event_id FROM audit_lookups WHERE term = 'Username=1' AND moment <= 9 AND"
            " (moment < 9 OR moment = 9 AND event_id < 'e') ORDER BY moment DESC, event_id DESC LIMIT 51",
            "SELECT body FROM audit_records ORDER BY event_time DESC, event_id DESC LIMIT 51",
        ):
            rows = connection.execute(text(f"{explain} {query}"))
            plans.append(" ".join(str(row[-1]) for row in rows))
    of_terms, of_all = plans
    assert "Seq Scan" not in of_terms + of_all
    if store.is_sqlite:
        assert "SEARCH audit_lookups USING PRIMARY KEY (term=? AND moment<?)" in of_terms
        assert "TEMP B-TREE" not in of_terms
        assert "USING INDEX ix_audit_records_event_time" in of_all
        assert "FOR ORDER BY" not in of_all
    else:
        assert "pk_audit_lookups" in of_terms
        assert "Sort" not in of_terms
        assert "Incremental Sort" in of_all


def test_an_older_program_records_on_the_new_schema_and_what_it_recorded_is_found_when_terms_are_entered(
    store: Store,
) -> None:
    columns = "event_id, event_time, event_source, event_name, request_id, body, exported"
    insert = f"INSERT INTO audit_records ({columns}) VALUES (:id, :time, 's', 'n', 'r', :body, false)"
    with store.engine.begin() as connection:
        for number in range(3):
            time = (NOW + number * SECOND).strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute(text(insert), {"id": f"e{number}", "time": time, "body": body(number)})
    until = NOW + 9 * SECOND
    terms = ["ReadOnly=true", "ReadOnly=false"]

    def missing(look_at: int) -> tuple[list[int], bool]:
        with store.read() as tx:
            found, place = tx.audit_records.without_terms((NOW, ""), until, terms, look_at)
            assert tx.audit_records.all_indexed(NOW, until, terms) == (found == [])
        return sorted(numbers(found)), place is None

    assert missing(100) == ([0, 1, 2], True)
    assert missing(2) == ([0, 1], False)
    with store.record() as tx:
        tx.audit_records.index(entries_of(NOW, "e0", ["ReadOnly=true"]))
        # One that waits to be entered is found already.
        tx.audit_records.add(record(7, "ReadOnly=false"))
    assert missing(100) == ([1, 2], True)
    with store.record() as tx:
        for number in (1, 2):
            tx.audit_records.index(entries_of(NOW + number * SECOND, f"e{number}", ["ReadOnly=false"]))
    assert missing(100) == ([], True)
    assert numbers(newest(store, "ReadOnly=false")) == [7, 2, 1]


def test_how_far_back_the_trail_has_been_gone_through_is_noted(store: Store) -> None:
    schema(store, command.downgrade, "0010")
    store.migrate()
    with store.record() as tx:
        assert tx.audit_records.filled_back_to() == datetime.max.replace(tzinfo=UTC)
        tx.audit_records.note_filled(NOW - SECOND)
    with store.record() as tx:
        assert tx.audit_records.filled_back_to() == NOW - SECOND
        tx.audit_records.note_filled(None)
        assert tx.audit_records.filled_back_to() is None


def test_whoever_may_add_records_may_add_what_they_are_found_by_after_an_upgrade(
    postgresql: Callable[[], str],
) -> None:
    store = Store.open(postgresql())
    store.migrate()
    schema(store, command.downgrade, "0010")
    with store.engine.begin() as connection:
        connection.execute(text("CREATE ROLE an_old_gateway"))
        connection.execute(text("GRANT INSERT ON audit_records TO an_old_gateway"))
    store.migrate()
    may = "SELECT has_table_privilege('an_old_gateway', :table, :what)"
    rights = ("INSERT", "SELECT", "UPDATE", "DELETE")
    with store.engine.begin() as connection:
        told = {
            table: [what for what in rights if connection.scalar(text(may), {"table": table, "what": what})]
            for table in ("audit_lookups", "audit_unindexed")
        }
        connection.execute(text("DROP OWNED BY an_old_gateway"))
        connection.execute(text("DROP ROLE an_old_gateway"))
    store.close()
    assert told == {table: ["INSERT", "SELECT"] for table in ("audit_lookups", "audit_unindexed")}


def due(store: Store, limit: int = 100) -> list[Found]:
    with store.read() as tx:
        return tx.audit_records.unexported(limit).events


def test_events_are_due_for_export_in_the_order_of_time_until_they_are_marked(store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add_all(record(number) for number in (3, 1, 2))
        # One that is entered again is due no more often.
        tx.audit_records.add(record(3))
    assert numbers(due(store, 2)) == [1, 2]
    with store.record() as tx:
        tx.audit_records.mark_exported(tx.audit_records.unexported(2).events)
        # Committed later, of an earlier time.
        tx.audit_records.add(record(0))
    assert numbers(due(store)) == [0, 3]
    with store.record() as tx:
        tx.audit_records.mark_exported(tx.audit_records.unexported(9).events)
        tx.audit_records.mark_exported([])
    assert due(store) == []


@pytest.mark.parametrize("exported", [True, False], ids=["of this program", "of an older one"])
def test_old_events_that_are_entered_while_others_wait_come_after_them(
    exported: bool, migrated_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has a gateway's role says of what time they are."""
    monkeypatch.setattr(due_events, "_LOOKED_AT", 7)

    def entered(*these: int) -> list[AuditRecord]:
        return [replace(record(number), exported=exported) for number in these]

    def take(of: Round | None) -> tuple[list[int], Round | None]:
        with store.record() as tx:
            due = tx.audit_records.unexported(3, of)
            tx.audit_records.mark_exported(due.events)
        return numbers(due.events), due.round

    with closing(Store.open(migrated_postgresql())) as store:
        with store.record() as tx:
            tx.audit_records.add_all(entered(100, 101, 102, 103, 400))
        with closing(Store.open(store.engine.url.render_as_string(hide_password=False))) as other:
            with other.record() as slow:
                slow.audit_records.add_all(entered(300))
                first, under_way = take(None)
            with other.record() as tx:
                tx.audit_records.add_all(entered(*range(-20, 0), 200))
                tx.audit_records.add_all(entered(*range(201, 220)))
        taken = [first]
        while under_way is not None:
            some, under_way = take(under_way)
            taken.append(some)
        assert [number for some in taken for number in some] == [100, 101, 102, 103, 400]
        rest, _ = take(None)
        assert rest == [-20, -19, -18]


def test_no_more_than_memory_is_for_is_read_of_large_events(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_bodies, "MOST_AT_ONCE", 4096)
    large = "x" * 2048
    with store.record() as tx:
        tx.audit_records.add_all(
            replace(record(number, "Username=alice"), body=f'{{"number":{number},"x":"{large}"}}')
            for number in range(3)
        )
        before, until = NOW + 9 * SECOND, NOW + 9 * SECOND
        for number in range(3):
            due = tx.audit_records.unexported(9)
            assert numbers(due.events) == [number]
            tx.audit_records.mark_exported(due.events)
        assert numbers(tx.audit_records.expired(before, 9, unexported_too=False)) == [0]
        for term in (None, "Username=alice"):
            found, end = tx.audit_records.newest(term, since=None, until=None, before=None, limit=9)
            assert (numbers(found), end) == ([2], (NOW + 2 * SECOND, "e002"))
            assert end is not None
            found, end = tx.audit_records.newest(
                term, since=None, until=None, before=(NOW + SECOND, "e001"), limit=9
            )
            assert (numbers(found), end) == ([0], None)
        missing, place = tx.audit_records.without_terms((NOW, ""), until, ["Nothing=1"], 9)
        assert (numbers(missing), place) == ([], None)
        tx.audit_records.mark_indexed(tx.audit_records.unindexed(9))
        missing, place = tx.audit_records.without_terms((NOW, ""), until, ["Nothing=1"], 9)
        assert (numbers(missing), place) == ([0], (NOW, "e000"))


def test_what_an_older_program_records_is_due_for_export_once_and_what_this_one_records_not_for_that(
    store: Store,
) -> None:
    with store.record() as tx:
        tx.audit_records.add(replace(record(1), exported=False), record(2))
    assert numbers(due(store)) == [1, 2]
    of_an_older_program = "SELECT body FROM audit_records WHERE exported IS FALSE"
    with store.engine.connect() as connection:
        assert [row[0] for row in connection.execute(text(of_an_older_program))] == [body(1)]
    with store.record() as tx:
        tx.audit_records.mark_exported(tx.audit_records.unexported(9).events)
    assert due(store) == []


def test_after_a_downgrade_what_is_due_is_so_for_the_older_program(store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add(record(1), record(2))
        tx.audit_records.mark_exported(tx.audit_records.unexported(1).events)
    schema(store, command.downgrade, "0025")
    store.migrate()
    assert numbers(due(store)) == [2]


def test_after_a_downgrade_what_waits_to_be_in_the_index_is_there(store: Store) -> None:
    with store.record() as tx:
        tx.audit_records.add(record(1, "Username=alice", "ReadOnly=true"), record(2, "Username=alice"))
    schema(store, command.downgrade, "0032")
    store.migrate()
    assert everything(store)["audit_lookups"] == 3
    assert numbers(newest(store, "Username=alice")) == [2, 1]


def test_no_line_is_written_of_what_a_crash_may_yet_undo(
    database_server: PostgresqlServer, migrated_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    """A standby that does not answer keeps what is committed from being on its disk."""
    url, path = migrated_postgresql(), tmp_path / "audit.jsonl"
    administration = create_engine(url, isolation_level="AUTOCOMMIT")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

    def standby(name: str) -> None:
        looks.exec_driver_sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        looks.exec_driver_sql("SELECT pg_reload_conf()")

    def enter() -> None:
        with closing(Store.open(url)) as store, store.record() as tx:
            tx.lock("endpoint eice-1")
            tx.audit_records.add(record(1))

    with closing(Store.open(url)) as store, administration.connect() as looks, ThreadPoolExecutor(2) as pool:
        standby("nobody")
        try:
            entered = pool.submit(enter)
            wait_until(lambda: looks.exec_driver_sql(waiting).scalar_one() == 1)
            # Everybody sees it already.
            assert numbers(due(store)) == [1]
            exported = pool.submit(Export(store, path).run)
            wait_until(lambda: looks.exec_driver_sql(waiting).scalar_one() == 2)
            assert path.read_bytes() == b""
        finally:
            standby("")
        entered.result(30)
        assert exported.result(30) == 1
    administration.dispose()
    assert path.read_text() == body(1) + "\n"


def everything(store: Store) -> dict[str, int]:
    names = ("audit_records", "audit_lookups", "audit_unindexed", "audit_unexported")
    with store.engine.connect() as connection:
        return {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in names}


def test_expired_events_go_oldest_first_with_what_they_are_found_by_up_to_what_is_due(
    store: Store,
) -> None:
    with store.record() as tx:
        tx.audit_records.add_all(record(number, "Username=alice", "ReadOnly=true") for number in range(6))
        tx.audit_records.add(replace(record(6, time=NOW + 3 * SECOND), exported=False))
    # One of two that go is in the index yet.
    enter_some(store, 1)
    with store.record() as tx:
        assert tx.audit_records.retention() == Retention(None, False, None)
        # Lines of the file, but for two of one moment: of now, and of an older program.
        due = tx.audit_records.unexported(9).events
        tx.audit_records.mark_exported([each for each in due if each.event_id not in {"e003", "e006"}])
        before = NOW + 5 * SECOND
        some = tx.audit_records.expired(before, 2, unexported_too=False)
        assert numbers(some) == [0, 1]
        tx.audit_records.delete_expired(
            [
                (each.event_time, each.event_id, ["Username=alice", "ReadOnly=true", "Other=1"])
                for each in some
            ]
        )
        assert tx.audit_records.retention().deleted_before == NOW + SECOND + timedelta(microseconds=1)
        assert numbers(tx.audit_records.expired(before, 9, unexported_too=False)) == [2]
        assert numbers(tx.audit_records.expired(before, 9, unexported_too=True)) == [2, 3, 6, 4]
        tx.audit_records.mark_exported(tx.audit_records.unexported(1).events)
        assert numbers(tx.audit_records.expired(before, 9, unexported_too=False)) == [2]
    left = {"audit_records": 5, "audit_lookups": 0, "audit_unindexed": 4, "audit_unexported": 0}
    assert everything(store) == left
    enter_some(store, 9)
    assert everything(store) == left | {"audit_lookups": 8, "audit_unindexed": 0}
    assert numbers(newest(store, "Username=alice")) == [5, 4, 3, 2]
    with store.record() as tx:
        oldest = tx.audit_records.expired(before, 1, unexported_too=True)
        tx.audit_records.delete_expired([(oldest[0].event_time, oldest[0].event_id, [])])
        tx.audit_records.set_retention(400, unexported_too=True)
        # It tells of the latest that went.
        tx.audit_records.delete_expired([(NOW, "e000", [])])
        latest = NOW + 2 * SECOND + timedelta(microseconds=1)
        assert tx.audit_records.retention() == Retention(400, True, latest)
    assert everything(store) == {
        "audit_records": 4, "audit_lookups": 8, "audit_unindexed": 0, "audit_unexported": 0
    }  # fmt: skip


@pytest.mark.parametrize("committed", [True, False], ids=["before", "meanwhile"])
def test_of_events_that_go_while_they_are_entered_nothing_stays_in_the_index(
    store: Store, committed: bool
) -> None:
    terms = ["Username=alice", "ReadOnly=true"]
    with store.record() as tx:
        tx.audit_records.add_all(record(number, *terms) for number in range(6))
        some = tx.audit_records.unindexed(9)
        tx.audit_records.index(in_order_of_index(some)[:6])

    def go_on() -> None:
        with store.record() as tx:
            tx.audit_records.index(in_order_of_index(some)[6:])
        with store.record() as tx:
            tx.audit_records.mark_indexed(some)

    with ThreadPoolExecutor() as pool:
        with store.record() as tx:
            tx.audit_records.delete_expired([(NOW + n * SECOND, f"e{n:03}", terms) for n in range(2)])
            if not committed:
                entering = pool.submit(go_on)
                wait([entering], timeout=0.3)
        if committed:
            entering = pool.submit(go_on)
        entering.result(30)
    assert everything(store) == {
        "audit_records": 4, "audit_lookups": 8, "audit_unindexed": 0, "audit_unexported": 4
    }  # fmt: skip
    assert numbers(newest(store, "Username=alice")) == [5, 4, 3, 2]


def test_nobody_has_events_kept_longer_in_the_middle_of_what_deletes_some(store: Store) -> None:
    def keep_for_ever() -> None:
        with store.record() as tx:
            tx.audit_records.set_retention(None, unexported_too=False)

    with ThreadPoolExecutor(1) as other:
        with store.record() as tx:
            tx.audit_records.retention(held=True)
            said = other.submit(keep_for_ever)
            with pytest.raises(TimeoutError):
                said.result(0.5)
        said.result(30)
    with store.read() as tx:
        assert tx.audit_records.retention().days is None
