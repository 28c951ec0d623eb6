"""The statements of the change feed, which run often: prepared once for each kind of database."""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Select,
    String,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    union_all,
    update,
)

from hatchway.store import tables
from hatchway.store.change_feed.notifications import CHANNEL, QUEUE_LIMIT
from hatchway.store.prepared import Prepared


@lru_cache(maxsize=8)
def revision(dialect: Dialect) -> Prepared:
    """The account's revision."""
    return Prepared(select(tables.feed.c.revision), (), dialect)


@lru_cache(maxsize=8)
def position(dialect: Dialect) -> Prepared:
    """The account's revision, and its mark, which is empty where it has none."""
    column = tables.feed.c.revision
    mark = select(tables.tombstones.c.row_key).where(*_is_mark_of(column)).scalar_subquery()
    return Prepared(select(column, func.coalesce(mark, literal_column("''"))), (), dialect)


@lru_cache(maxsize=8)
def follows(dialect: Dialect) -> Prepared:
    """Whether the revision `since` with its `mark` is of this store's past, and not too long ago."""
    recent = tables.feed.c.floor <= bindparam("since", type_=tables.feed.c.revision.type)
    return Prepared(select(exists().where(recent) & _is_past()), ["since", "mark"], dialect)


def _is_past() -> ColumnElement[bool]:
    """Whether the mark is that of the revision `since` in this store."""
    since = bindparam("since", type_=tables.feed.c.revision.type)
    mark = bindparam("mark", type_=String)
    return exists().where(*_is_mark_of(since), tables.tombstones.c.row_key == mark)


def _is_mark_of(at: Any) -> tuple[ColumnElement[bool], ...]:
    tombstone = tables.tombstones.c
    return tombstone.revision == at, tombstone.kind == literal_column(f"'{tables.MARK}'")


@lru_cache(maxsize=8)
def bump(dialect: Dialect) -> Prepared:
    """The account's next revision, which is this transaction's from now on."""
    column = tables.feed.c.revision
    statement = update(tables.feed).values(revision=column + 1).returning(column)
    if dialect.name == "postgresql":
        # Sent when the transaction commits, which fails where the queue is full (PostgreSQL: "NOTIFY").
        room = func.pg_notification_queue_usage() < QUEUE_LIMIT
        statement = statement.returning(case((room, func.pg_notify(CHANNEL, ""))))
    return Prepared(statement, (), dialect)


@lru_cache(maxsize=8)
def changed(dialect: Dialect) -> Prepared:
    """The names of the tables of which rows have come or changed after the revision `since`."""
    since = bindparam("since", type_=tables.feed.c.revision.type)
    each: list[Select[Any]] = [
        select(literal_column(f"'{table.name}'")).where(exists().where(table.c.revision > since))
        for table in tables.FEED
    ]
    return Prepared(union_all(*each), ["since"], dialect)


@lru_cache(maxsize=64)
def touched(names: frozenset[str], own: tuple[str, ...], dialect: Dialect) -> Prepared:
    """Whether any row of `names` has come, changed or gone after the revision `since`, or one of `own` of a
    given key, or that is not known; in one query."""
    since = bindparam("since", type_=tables.feed.c.revision.type)
    tombstone = tables.tombstones.c
    # Within the statement: as one parameter, only SQLAlchemy could make them a list.
    kinds: list[Any] = [
        literal_column(f"'{table.info['kind']}'") for table in tables.FEED if table.name in names
    ]
    ways: list[ColumnElement[bool]] = [
        exists().where(tables.feed.c.floor > since),
        ~_is_past(),
        exists().where(tombstone.revision > since, tombstone.kind.in_(kinds)),
    ]
    for table in tables.FEED:
        if table.name in names:
            ways.append(exists().where(table.c.revision > since))
        if table.name in own:
            key = next(iter(table.primary_key.columns))
            wanted = bindparam(f"{table.name}_key", type_=String)
            row = bindparam(f"{table.name}_row", type_=String)
            gone = (
                tombstone.kind == table.info["kind"],
                func.substr(tombstone.row_key, 1, func.length(row)) == row,
            )
            ways.append(exists().where(table.c.revision > since, key == wanted))
            ways.append(exists().where(tombstone.revision > since, *gone))
    parameters = [f"{name}_{part}" for name in own for part in ("key", "row")]
    return Prepared(select(or_(*ways)), ["since", "mark", *parameters], dialect)
