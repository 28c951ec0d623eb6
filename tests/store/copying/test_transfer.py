"""All of a store in another database, whatever happens on the way."""

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Engine,
    Integer,
    LargeBinary,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from tests.forks import FORKS
from tests.store.migrated import new_sqlite_store, write_migrated_database
from tests.store.test_store import schema

from hatchway.domain.account import AuditRecord, Quotas
from hatchway.domain.network import Rule
from hatchway.store import SchemaMismatch, Store, own_schema, tables
from hatchway.store.columns import EnumText, Flags, QuotaMap, RuleList, TagMap, Texts, UtcDateTime
from hatchway.store.copying.copied_rows import Side, Sum
from hatchway.store.copying.finished_copy import EVENT, compare, finished_copy
from hatchway.store.copying.transfer import (
    Differs,
    Occupied,
    Served,
    finish,
    frozen,
    receiving,
    source_of,
    transfer,
)

EVENT_ID = "00000000-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 24, 6, 17, 23, 123456, tzinfo=UTC)
ROWS = 3


def value(kind: Any, name: str, number: int) -> Any:
    """One of a column's type, that differs from row to row."""
    if name == "body":
        return json.dumps({"text": "é\t{}", "number": number}, ensure_ascii=False)
    match kind:
        case UtcDateTime():
            return NOW + timedelta(days=number) - timedelta(microseconds=NOW.microsecond * (number % 2))
        case EnumText():
            return list(kind.enum)[number % len(kind.enum)]
        case Texts():
            return (name, "ключ", '"')
        case TagMap():
            return {"z": name, "a": "値 \\ '"}
        case Flags():
            return {"EnableDnsSupport": bool(number % 2)}
        case RuleList():
            return (Rule("tcp", 22, 22 + number, "10.0.0.0/16"),)
        case QuotaMap():
            return Quotas(tunnels_per_endpoint=7 + number)
        case JSON():
            return {name: number}
        case Boolean():
            return bool(number % 2)
        case BigInteger():
            return (1 << 40) + number
        case Integer():
            return number + 1
        case LargeBinary():
            return bytes((0, 255, number))
    return f"{name[:6]}-{number}-é\t{{}}"[: kind.length or 1000]


def fill(store: Store) -> None:
    """Puts some rows into every table."""
    with store.engine.begin() as connection:
        for table in tables.metadata.sorted_tables:
            if table in (tables.feed, tables.tombstones, tables.security_group_rules):
                continue
            rows = [
                {
                    column.name: value(column.type, column.name, number)
                    if not column.nullable or number
                    else None
                    for column in table.columns
                }
                for number in range(ROWS)
            ]
            held = {tuple(row) for row in connection.execute(select(*table.primary_key.columns))}
            keys = [column.name for column in table.primary_key.columns]
            connection.execute(
                insert(table), [row for row in rows if tuple(row[key] for key in keys) not in held]
            )
    with store.write() as tx:
        tx.users.delete("name-1-é\t{}")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "hatchway.db"
    with closing(new_sqlite_store(path)) as store:
        fill(store)
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """The file of a store that has rows in every table."""
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(filled)) as store, closing(sqlite3.connect(path)) as copied:
        store.backup(copied)
    return path


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with empty tables."""
    if request.param == "postgresql":
        made: str = request.getfixturevalue("migrated_postgresql")()
        return made
    write_migrated_database(tmp_path / "target.db")
    return url(tmp_path / "target.db")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "postgresql":
        made: str = request.getfixturevalue("postgresql")()
        return made
    return url(tmp_path / "empty.db")


def contents(where: str) -> dict[str, list[Any]]:
    """All rows of all tables, as nouns have them."""
    engine = create_engine(where)
    with engine.connect() as connection:
        found = {table.name: sorted(map(repr, connection.execute(select(table)))) for table in EVERY}
    engine.dispose()
    return found


EVERY: list[Table] = tables.metadata.sorted_tables


def copy(source: str, target: str) -> bool:
    """All of it; whether it went on with a copy of before."""
    with (
        closing(Store.open(source)) as store,
        closing(Store.open(target)) as other,
        frozen(store) as rows,
        receiving(other) as written,
    ):
        of = source_of(rows)
        went_on = written.prepare(of)
        try:
            transfer(rows, written, lambda _: None)
        except Differs:
            assert went_on
            written.start_over(of)
            transfer(rows, written, lambda _: None)
        with finish(other):
            pass
    return went_on


def is_same(source: str, target: str) -> bool:
    """Whether the target holds what the source does, and an epoch more."""
    before, after = contents(source), contents(target)
    with closing(Store.open(target)) as store:
        store.check_schema()
        revision = store.revision()
    new = [row for row in after["tombstones"] if str(revision) in row or row not in before["tombstones"]]
    assert len(new) == 2
    for table in ("feed", "tombstones"):
        after[table] = before[table] if revision % (1 << 32) == 0 else []
    return before == after


def test_every_row_of_every_table_is_in_the_copy_and_in_that_of_the_copy(
    source: Path, target: str, tmp_path: Path
) -> None:
    assert all(contents(url(source)).values())
    assert not copy(url(source), target)
    assert is_same(url(source), target)
    back = url(tmp_path / "back.db")
    assert not copy(target, back)
    assert is_same(target, back)


def test_followers_of_the_former_store_read_everything_anew(source: Path, target: str) -> None:
    with closing(Store.open(url(source))) as store:
        position = store.position()
    copy(url(source), target)
    with closing(Store.open(target)) as store:
        changes = store.changes(position)
    assert changes.everything
    assert changes.restored


def dying(source: str, target: str, statement: int) -> None:
    """Copies, and is killed before the so-many-th statement."""
    left = statement

    @event.listens_for(Engine, "before_cursor_execute")
    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    copy(source, target)


def test_a_copy_that_is_killed_at_any_moment_goes_on_from_there(source: Path, empty: str) -> None:
    attempts, target = 0, empty
    while True:
        attempts += 1
        # Each gets somewhat further than the one before, into the middle of what that has done.
        child = FORKS.Process(target=dying, args=(url(source), target, 17 + 61 * attempts))
        child.start()
        child.join()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL
        with closing(Store.open(target)) as store:
            # Nobody's yet, or one that no server works on.
            assert store.schema() != own_schema() or not contents(target)["accounts"]
    assert attempts > 4
    assert is_same(url(source), target)


def interrupted(source: str, target: str) -> None:
    """Has copied a part."""
    with (
        closing(Store.open(source)) as store,
        closing(Store.open(target)) as other,
        frozen(store) as rows,
        receiving(other) as written,
    ):
        written.prepare(source_of(rows))

        def tell(what: str) -> None:
            if "security_groups" in what:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            transfer(rows, written, tell)


@pytest.mark.parametrize("feeds", [True, False])
def test_what_has_changed_since_an_attempt_is_copied_again(source: Path, target: str, *, feeds: bool) -> None:
    interrupted(url(source), target)
    with closing(Store.open(url(source))) as store:
        if feeds:
            with store.write() as tx:
                tx.users.delete("name-2-é\t{}")
        else:
            with store.record() as tx:
                tx.audit_records.delete_where(tables.audit_records.c.event_name.is_not(None))
    assert copy(url(source), target) is not feeds
    assert is_same(url(source), target)


def test_no_server_works_on_an_unfinished_copy(source: Path, target: str) -> None:
    interrupted(url(source), target)
    with closing(Store.open(target)) as store:
        for attempt in (store.check_schema, store.migrate):
            with pytest.raises(SchemaMismatch, match="run the same 'hatchway store copy' again"):
                attempt()


def rename(source: Path, account: str, name: str) -> None:
    with closing(sqlite3.connect(source)) as store, store:
        store.execute("UPDATE accounts SET id = ? WHERE id = ?", (name, account))


def test_a_database_that_holds_something_else_is_left_as_it_is(source: Path, target: str) -> None:
    interrupted(url(source), target)
    rename(source, "id-0-é\t{}", "another")
    with pytest.raises(Occupied, match="an unfinished copy of another store is there, of account id-0"):
        copy(url(source), target)
    rename(source, "another", "id-0-é\t{}")
    copy(url(source), target)
    before = contents(target)
    with pytest.raises(Occupied, match="is there already: give an empty database"):
        copy(url(source), target)
    assert contents(target) == before


def test_a_copy_that_another_version_has_begun_is_begun_anew_in_an_empty_database(
    source: Path, target: str
) -> None:
    interrupted(url(source), target)
    engine = create_engine(target)
    with engine.begin() as connection:
        where = "WHERE after LIKE :of"
        of = {"of": '%"made_at"%'}
        told = json.loads(
            connection.execute(text(f"SELECT after FROM hatchway_copy {where}"), of).scalar_one()
        )
        told["schema"] = "0025"
        row = {**of, "told": json.dumps(told)}
        connection.execute(text(f"UPDATE hatchway_copy SET after = :told {where}"), row)
    engine.dispose()
    with pytest.raises(Occupied, match="by another version of this program is there: empty the database"):
        copy(url(source), target)


def test_a_store_without_an_account_is_not_copied(tmp_path: Path, target: str) -> None:
    nothing = tmp_path / "nothing.db"
    new_sqlite_store(nothing).close()
    with pytest.raises(Occupied, match="holds no account: there is nothing to copy"):
        copy(url(nothing), target)


def test_a_finished_copy_is_told_from_any_other_store_and_compared(source: Path, target: str) -> None:
    copy(url(source), target)
    engine = create_engine(target)
    with closing(Store.open(url(source))) as store, frozen(store) as rows, engine.connect() as connection:
        of, side = source_of(rows), Side(connection)
        with side.transaction():
            assert finished_copy(rows, side, of) is None, "it has no event"
        with closing(Store.open(target)) as other, other.write() as tx:
            tx.audit_records.add(
                AuditRecord(
                    event_id=EVENT_ID, event_time=NOW, event_source="hatchway", event_name=EVENT,
                    request_id="", user_name=None, access_key_id=None, body="{}", terms=("a=b",),
                )
            )  # fmt: skip
        with side.transaction():
            found = finished_copy(rows, side, of)
            assert found is not None
            assert found.event_id == EVENT_ID
            sums = compare(rows, side, found, lambda _: None)
            assert {"accounts", "audit_records", "audit_lookups"} <= sums.keys()
            assert finished_copy(rows, side, replace(of, made_at="2026")) is None
            assert finished_copy(side, side, of) is None, "the source has that event too"
            side.run("DELETE FROM audit_records WHERE event_id <> ?", EVENT_ID)
            with pytest.raises(Differs, match="audit_records"):
                compare(rows, side, found, lambda _: None)
    engine.dispose()


def test_two_do_not_copy_into_the_same_database_at_once(source: Path, target: str) -> None:
    with (
        closing(Store.open(url(source))) as store,
        closing(Store.open(target)) as other,
        frozen(store) as rows,
        receiving(other) as written,
    ):
        written.prepare(source_of(rows))
        begun = written.progress(tables.users)
        (some,) = rows.rows(tables.users)
        copied = written.enter(tables.users, some, begun)
        assert copied.total == Sum().plus(some)
        with pytest.raises(Occupied, match="another process copies"):
            written.enter(tables.users, some, begun)


def served_elsewhere(where: str, pipe: Any) -> None:
    """Has the store open, as a server has that does nothing just now."""
    with closing(Store.open(where)) as store:
        with store.record() as tx:
            tx.audit_records.count()
        pipe.send("served")
        pipe.recv()


def test_a_store_that_somebody_has_open_is_not_copied(source: Path, tmp_path: Path) -> None:
    with closing(Store.open(url(source))) as served, served.read() as tx:
        assert tx.users.count()
        with pytest.raises(Served, match=r"source.db is in use: stop all servers"):
            copy(url(source), url(tmp_path / "target.db"))
    ours, theirs = FORKS.Pipe()
    server = FORKS.Process(target=served_elsewhere, args=(url(source), theirs))
    server.start()
    assert ours.recv() == "served"
    with pytest.raises(Served, match=r"source.db is in use: stop all servers"):
        copy(url(source), url(tmp_path / "target.db"))
    ours.send("end")
    server.join()
    copy(url(source), url(tmp_path / "target.db"))
    with pytest.raises(Served, match="there is no store"):
        copy(url(tmp_path / "none.db"), url(tmp_path / "target.db"))
    assert not (tmp_path / "none.db").exists()


def test_a_database_with_other_sessions_is_not_copied_and_nobody_writes_it_meanwhile(
    source: Path, postgresql: Callable[[], str], tmp_path: Path
) -> None:
    served, target = postgresql(), url(tmp_path / "target.db")
    copy(url(source), served)
    told = pytest.raises(Served, match="1 other sessions have the database open")
    with closing(Store.open(served)) as store, store.read(), told:
        copy(served, target)
    late = pytest.raises(OperationalError, match="lock timeout")
    with (
        closing(Store.open(served)) as store,
        frozen(store),
        closing(Store.open(f"{served}&options=-c%20lock_timeout%3D50")) as other,
        late,
        other.record() as tx,
    ):
        tx.audit_records.delete("e")


def test_a_store_of_another_schema_is_not_copied(source: Path, target: str) -> None:
    with closing(Store.open(url(source))) as store:
        schema(store, command.downgrade, "0025")
    with pytest.raises(SchemaMismatch, match="0025"):
        copy(url(source), target)


def test_rows_that_differ_or_lack_are_noticed(source: Path, target: str) -> None:
    with (
        closing(Store.open(url(source))) as store,
        closing(Store.open(target)) as other,
        frozen(store) as rows,
        receiving(other) as written,
    ):
        written.prepare(source_of(rows))
        transfer(rows, written, lambda _: None)
        for damage in (
            "UPDATE users SET path = '/other/' WHERE path = (SELECT max(path) FROM users)",
            "DELETE FROM audit_records WHERE event_id = (SELECT max(event_id) FROM audit_records)",
        ):
            with written.side.transaction():
                written.side.run(damage)
            with pytest.raises(Differs, match=damage.split()[1].replace("FROM", "audit_records")):
                transfer(rows, written, lambda _: None)
            written.start_over(source_of(rows))
            transfer(rows, written, lambda _: None)


@pytest.mark.parametrize("most", [1, 2])
def test_portions_of_any_size_give_all_rows_once(
    source: Path, target: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.store.copying.copied_rows._PORTION", most)
    monkeypatch.setattr("hatchway.store.copying.copied_rows._LARGE_PORTION", most)
    copy(url(source), target)
    assert is_same(url(source), target)
