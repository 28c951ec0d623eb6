"""All of a store in another database: SQLite's in PostgreSQL, or the other way round.

    with frozen(source) as rows, receiving(target) as copy:
        copy.prepare(source_of(rows))
        transfer(rows, copy, tell)
        with finish(target) as tx: ...

What is copied is one moment of the source, which nobody can write meanwhile. It goes in portions, in the
order of primary keys, each one transaction with the note of how far it has come: a copy that was killed goes
on from there. Until `finish` the target's schema is one that no program knows, so that none serves it.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Connection,
    NullPool,
    Table,
    create_engine,
    event,
)
from sqlalchemy.exc import OperationalError

from hatchway.privileges import as_owner_of
from hatchway.store import tables
from hatchway.store.copying.copied_rows import Row, Side, Sum, key_of, name_of
from hatchway.store.schema import BEING_COPIED, SchemaMismatch, own_schema
from hatchway.store.store import Store
from hatchway.store.transaction import Transaction

_SOURCE: Final = ""
"""The row of the table `hatchway_copy` that says of what the copy is; the others are of a table each."""
_DERIVED: Final = (
    tables.tag_index,
    tables.security_group_uses,
    tables.security_group_rules,
    tables.tombstones,
)
"""Into these, triggers of others write: they come last, in the place of what is there by then."""
_LOCKED: Final = frozenset({"55P03", "40P01"})


class Served(Exception):
    """Somebody else uses the source, so that what he writes would be lost. The message says who, and how to
    go on."""


class Occupied(Exception):
    """The target cannot take the copy. The message says what is there."""


class Differs(Exception):
    """A table is not the same in both: it was written while it was copied."""


@dataclass(frozen=True, slots=True)
class Source:
    """What tells a store from others, and one moment of it from others."""

    account: str
    made_at: str
    schema: str
    revision: int
    mark: str


def all_tables() -> list[Table]:
    """In the order in which they are copied."""
    return [table for table in tables.metadata.sorted_tables if table not in _DERIVED] + list(_DERIVED)


@contextmanager
def frozen(store: Store) -> Iterator[Side]:
    """One moment of a store, in which nobody else can write it until the end.

    Raises:
        Served: somebody else has it open.
    """
    if store.is_sqlite:
        path = Path(store.engine.url.database or "")
        # Opened, SQLite would make an empty one.
        if not path.is_file():
            raise Served(f"there is no store {path}")
        engine = create_engine(store.engine.url, poolclass=NullPool, hide_parameters=True)
        event.listen(engine, "connect", _alone)
        event.listen(engine, "begin", _begin)
        with ExitStack() as stack:
            try:
                with as_owner_of(path.absolute().parent):
                    connection = stack.enter_context(engine.connect())
                    connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").fetchone()
            except (OperationalError, sqlite3.OperationalError) as problem:
                # The driver's own comes from `_alone`.
                original = getattr(problem, "orig", None) or problem
                if getattr(original, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    raise Served(_SERVED_FILE.format(path)) from problem
                raise
            yield Side(connection, is_source=True)
        return
    with store.engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            # It is idle while the other side works.
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            others = connection.exec_driver_sql(_OTHER_SESSIONS).scalar_one()
            if others:
                raise Served(_SERVED_DATABASE.format(others))
            names = ", ".join(map(name_of, tables.metadata.sorted_tables))
            try:
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE NOWAIT")
            except OperationalError as problem:
                if getattr(problem.orig, "sqlstate", None) in _LOCKED:
                    raise Served(_SERVED_DATABASE.format("some")) from problem
                raise
            connection.exec_driver_sql("SET LOCAL TimeZone = 'UTC'")
            yield Side(connection, is_source=True)


_SERVED_FILE: Final = (
    "{} is in use: stop all servers and commands that have it open (fuser names them), and copy it then, or"
    " copy what 'hatchway backup' makes of it, which lacks what is done after that"
)
_SERVED_DATABASE: Final = (
    "{} other sessions have the database open: stop all control planes and gateways, close psql, have a"
    " pooler let go of its connections (PgBouncer: PAUSE), and copy it then; what they write would be lost"
)
_OTHER_SESSIONS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usesysid IS NOT NULL"
    " AND pid <> pg_backend_pid() AND coalesce(backend_type, 'client backend') = 'client backend'"
)


def _alone(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    # Before the first look: then nobody else may have the file open (SQLite: "PRAGMA locking_mode").
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA busy_timeout=500")


def _begin(connection: Connection) -> None:
    connection.connection.driver_connection.execute("BEGIN")  # type: ignore[union-attr]


def source_of(side: Side) -> Source:
    """What is copied.

    Raises:
        SchemaMismatch: its schema is not this program's.
        Occupied: it holds no account.
    """
    schema = side.schema()
    if schema != own_schema():
        raise SchemaMismatch(schema)
    account = account_of(side)
    if account is None:
        raise Occupied("the store to copy holds no account: there is nothing to copy")
    mark = "SELECT row_key FROM tombstones WHERE kind = ? AND revision = feed.revision"
    revision, of = side.run(f"SELECT revision, ({mark}) FROM feed", tables.MARK).fetchone()  # noqa: S608
    return Source(*account, schema, revision, of or "")


def account_of(side: Side) -> tuple[str, str] | None:
    """The account's id, and when it was made."""
    account = next((row for rows in side.rows(tables.accounts) for row in rows), None)
    if account is None:
        return None
    named = dict(zip((column.name for column in tables.accounts.columns), account, strict=True))
    return named["id"], named["created_at"]


@dataclass(frozen=True, slots=True)
class _Progress:
    after: list[Any] | None
    total: Sum


class Target:
    """A database that takes a copy."""

    def __init__(self, side: Side) -> None:
        self.side = side

    def prepare(self, source: Source) -> bool:
        """Has the copy begin, or go on; whether it goes on.

        Raises:
            Occupied: there is a copy of another store in it.
        """
        with self.side.transaction():
            (version,) = self.side.run("SELECT version_num FROM alembic_version").fetchone()
            if version != BEING_COPIED:
                self.side.run(
                    "CREATE TABLE hatchway_copy (name varchar(64) PRIMARY KEY, after text, total bigint,"
                    " digest text)"
                )
                self.side.run("INSERT INTO hatchway_copy (name, after) VALUES (?, ?)", _SOURCE, _told(source))
                self.side.run("UPDATE alembic_version SET version_num = ?", BEING_COPIED)
                return False
            (told,) = self.side.run("SELECT after FROM hatchway_copy WHERE name = ?", _SOURCE).fetchone()
            before = Source(**json.loads(told))
            if (before.account, before.made_at) != (source.account, source.made_at):
                raise Occupied(
                    f"an unfinished copy of another store is there, of account {before.account}: give an"
                    " empty database, or go on with that copy"
                )
            if before.schema != source.schema:
                raise Occupied(
                    "an unfinished copy by another version of this program is there: empty the database, and"
                    " copy again"
                )
            if before == source:
                return True
        self.start_over(source)
        return False

    def start_over(self, source: Source) -> None:
        with self.side.transaction():
            self.side.run("DELETE FROM hatchway_copy WHERE name <> ?", _SOURCE)
            self.side.run("UPDATE hatchway_copy SET after = ? WHERE name = ?", _told(source), _SOURCE)

    def progress(self, table: Table) -> _Progress:
        """How far a table has come; one that has not been begun is begun."""
        query = "SELECT after, total, digest FROM hatchway_copy WHERE name = ?"
        with self.side.transaction():
            row = self.side.run(query, table.name).fetchone()
            if row is None:
                self.side.run(f"DELETE FROM {name_of(table)}")  # noqa: S608
                insert = "INSERT INTO hatchway_copy (name, total, digest) VALUES (?, 0, ?)"
                self.side.run(insert, table.name, str(Sum()))
                return _Progress(None, Sum())
        after, total, digest = row
        return _Progress(None if after is None else json.loads(after), Sum(total, int(digest, 16)))

    def enter(self, table: Table, rows: Sequence[Row], before: _Progress) -> _Progress:
        """Enters a portion, and how far that is.

        Raises:
            Occupied: another process copies into the same database.
        """
        now = _Progress(key_of(table, rows[-1]), before.total.plus(rows))
        with self.side.transaction():
            done = self.side.run(
                "UPDATE hatchway_copy SET after = ?, total = ?, digest = ?"
                " WHERE name = ? AND total = ? AND digest = ?",
                json.dumps(now.after),
                now.total.rows,
                str(now.total),
                table.name,
                before.total.rows,
                str(before.total),
            )
            if done.rowcount != 1:
                raise Occupied("another process copies into the same database: wait until it is done")
            self.side.enter(table, rows)
        return now


def _told(source: Source) -> str:
    return json.dumps({name: getattr(source, name) for name in source.__slots__})


@contextmanager
def receiving(store: Store) -> Iterator[Target]:
    """A database that has the schema, and holds nothing but what a copy has left.

    Raises:
        Occupied: there is an installation in it.
        SchemaMismatch: a newer program's.
    """
    schema = store.schema()
    if schema != BEING_COPIED:
        if schema is not None:
            store.check_schema(older=True)
            with store.engine.connect() as connection:
                held = connection.exec_driver_sql("SELECT id FROM accounts").scalar()
                trail = connection.exec_driver_sql("SELECT count(*) FROM audit_records").scalar()
            if held or trail:
                what = f"account {held} is" if held else "an audit trail is"
                raise Occupied(f"{what} there already: give an empty database")
        store.migrate()
    with store.engine.connect() as connection:
        if store.is_sqlite:
            # Each portion is safe from being killed; `finish` waits for the disk.
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
            connection.rollback()
        yield Target(Side(connection))


def transfer(source: Side, target: Target, tell: Callable[[str], None]) -> dict[str, Sum]:
    """Copies what is not there yet, and compares all. What there is of each table, by its name.

    Raises:
        Differs: a table is not the same in both.
        Occupied: another process copies into the same database.
    """
    copied: dict[str, Sum] = {}
    for table in all_tables():
        progress = target.progress(table)
        whole = progress.after is None
        for portion in source.rows(table, progress.after):
            progress = target.enter(table, portion, progress)
            tell(f"Copying {table.name}: {progress.total.rows:,} rows")
        # What an attempt before has copied is looked at again: this is another moment of the source.
        copied[table.name] = progress.total if whole else source.sum(table, _telling(tell, "Reading", table))
    with target.side.transaction():
        target.side.settle()
    with target.side.transaction():
        for table in all_tables():
            found = target.side.sum(table, _telling(tell, "Comparing", table))
            if found != copied[table.name]:
                raise Differs(table.name)
    return copied


def _telling(tell: Callable[[str], None], what: str, table: Table) -> Callable[[int], None]:
    return lambda rows: tell(f"{what} {table.name}: {rows:,} rows")


@contextmanager
def finish(store: Store) -> Iterator[Transaction]:
    """A transaction after which the copy is a store; its followers read everything anew."""
    with store.write() as tx:
        tx.begin_epoch()
        yield tx
        side = Side(tx._connection)
        side.run("DROP TABLE hatchway_copy")
        side.run("UPDATE alembic_version SET version_num = ?", own_schema())
