"""A repository: one table's rows as nouns, with the same few verbs for every kind."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import cache, lru_cache, partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Connection,
    Dialect,
    Integer,
    Select,
    String,
    Table,
    Text,
    any_,
    bindparam,
    column,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import sqlite

from hatchway.store import tables
from hatchway.store.columns import UtcDateTime
from hatchway.store.prepared import Prepared

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Noun = TypeVar("Noun", bound=DataclassInstance)
else:
    Noun = TypeVar("Noun")

Key = tuple[Any, ...]
_FEW_KEYS: Final = 16
"""So many rows SQLite deletes one by one in no more time than by one statement that says which there were:
one takes it a quarter of that."""
Insertion = Callable[[Table, tuple[str, ...], Dialect], Prepared]


class Rows(Generic[Noun]):
    """The rows of one table within one transaction.

    Every list comes in the order of the primary key. `stamp` gives the revision of the transaction and is
    called only when a row of the feed changes; None for a table outside the feed.
    """

    def __init__(
        self, connection: Connection, table: Table, noun: type[Noun], stamp: Callable[[], int] | None
    ) -> None:
        self._connection = connection
        self._table = table
        self._noun = noun
        self._stamp = stamp
        self._fields, self._read, self._columns, self._key, self._key_names = _shape(table, noun)

    @property
    def dialect(self) -> str:
        """Which kind of database it is, as SQLAlchemy names it."""
        return self._connection.dialect.name

    def noun(self, row: Sequence[Any]) -> Noun:
        return self._noun(**dict(zip(self._fields, row, strict=True)))

    def key_of(self, noun: Noun) -> Key:
        return tuple(getattr(noun, name) for name in self._key_names)

    def get(self, *key: Any) -> Noun | None:
        """The row with this primary key, or None."""
        query = _find(self._table, self._noun, self._key_names, self._connection.dialect)
        rows = query.fetch(self._connection, *key)
        return self.noun(rows[0]) if rows else None

    def find(
        self, *conditions: Any, limit: int | None = None, order: Sequence[Any] = (), **equal: Any
    ) -> list[Noun]:
        """The rows whose columns equal what is given and that meet the SQL conditions.

        In the given order first, then in that of the primary key.
        """
        if not conditions and not order and limit is None and None not in equal.values():
            found = _find(self._table, self._noun, tuple(equal), self._connection.dialect)
            return [self.noun(row) for row in found.fetch(self._connection, *equal.values())]
        query = select(*self._columns).where(*conditions, *self._equal(equal)).order_by(*order, *self._key)
        return [self.noun(row) for row in self._connection.execute(query.limit(limit))]

    def count(self, *conditions: Any, **equal: Any) -> int:
        if not conditions and None not in equal.values():
            counted = _count(self._table, tuple(equal), self._connection.dialect)
            return int(counted.scalar(self._connection, *equal.values()))
        query = select(func.count()).select_from(self._table).where(*conditions, *self._equal(equal))
        return int(self._connection.execute(query).scalar_one())

    def values(self, *columns: Any, where: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Some columns of the rows that meet all conditions, where whole nouns would be too much."""
        return [tuple(row) for row in self._connection.execute(select(*columns).where(*where))]

    def rows(self, query: Select[Any], **parameters: Any) -> list[tuple[Any, ...]]:
        """The result of a query that the other methods cannot express; as to parameters, see `scalar`."""
        if parameters:
            ready = _ready(query, tuple(parameters), self._connection.dialect)
            return ready.fetch(self._connection, *parameters.values())
        return [tuple(row) for row in self._connection.execute(query)]

    def count_by(self, column: Any, *conditions: Any) -> dict[Any, int]:
        """How many rows meet all conditions, by the value of a column."""
        query = select(column, func.count()).select_from(self._table).where(*conditions).group_by(column)
        return {row[0]: int(row[1]) for row in self._connection.execute(query)}

    def counts(self, queries: Sequence[Select[Any]], most: int) -> list[int]:
        """How many rows each query gives, counted up to `most`: all of them in one statement."""
        if not queries:
            return []
        each = [
            select(func.count()).select_from(query.limit(most).subquery()).scalar_subquery()
            for query in queries
        ]
        return [int(count) for count in self._connection.execute(select(*each)).one()]

    def scalar(self, query: Any, **parameters: Any) -> Any:
        """The one value that a query gives. One with parameters is made beforehand: making it costs more than
        running it."""
        if parameters:
            ready = _ready(query, tuple(parameters), self._connection.dialect)
            return ready.scalar(self._connection, *parameters.values())
        return self._connection.execute(query).scalar_one()

    def ask(self, query: Any, **parameters: Any) -> Callable[[], Any]:
        """The same for one with parameters, where what it returns gives the value: see `Prepared.ask`."""
        ready = _ready(query, tuple(parameters), self._connection.dialect)
        answer = ready.ask(self._connection, *parameters.values())
        return lambda: answer()[0][0]

    def put(self, *nouns: Noun) -> None:
        """Inserts the rows, or replaces those that exist."""
        self.put_all(nouns)

    def put_all(self, nouns: Iterable[Noun]) -> None:
        self._insert(nouns, _upsert)

    def add(self, *nouns: Noun) -> None:
        """Inserts rows; one whose primary key exists already stays as it was."""
        self.add_all(nouns)

    def add_all(self, nouns: Iterable[Noun]) -> None:
        self._insert(nouns, adding)

    def _insert(self, nouns: Iterable[Noun], statement: Insertion) -> None:
        rows = list(nouns)
        if not rows:
            return
        names = self._fields
        columns: list[Iterable[Any]] = list(zip(*map(self._read, rows), strict=True))
        if self._stamp is not None:
            names = (*names, "revision")
            columns.append(repeat(self._stamp()))
        statement(self._table, names, self._connection.dialect).run(self._connection, columns)

    def delete(self, *key: Any) -> bool:
        """Deletes the row. Returns whether there was one."""
        statement = _delete_one(self._table, self._connection.dialect)
        if not statement.count(self._connection, *key):
            return False
        self._add_tombstones([key])
        return True

    def deleting(self, keys: Iterable[Any]) -> Callable[[], set[Any]]:
        """Deletes the rows with these keys, of one column.

        Returns what tells the keys of those that existed, and has to be called: see `Prepared.ask`.
        """
        wanted = list(keys)
        dialect = self._connection.dialect
        if dialect.name == "sqlite" and len(wanted) <= _FEW_KEYS:
            one = _delete_one(self._table, dialect)
            # Each key once: the second time it is gone.
            found = {key for key in wanted if one.count(self._connection, key)}
            return partial(self._gone, found)
        answer = _delete_all(self._table, dialect).ask(self._connection, wanted)
        return lambda: self._gone({key for (key,) in answer()})

    def _gone(self, keys: set[Any]) -> set[Any]:
        self._add_tombstones([(key,) for key in keys])
        return keys

    def delete_where(self, *conditions: Any, **equal: Any) -> int:
        """Deletes the rows that meet all conditions. Returns how many there were."""
        keys: list[Key]
        if not conditions and None not in equal.values():
            ready = _delete(self._table, tuple(equal), self._connection.dialect)
            keys = ready.fetch(self._connection, *equal.values())
        else:
            statement = delete(self._table).where(*conditions, *self._equal(equal)).returning(*self._key)
            keys = [tuple(row) for row in self._connection.execute(statement)]
        self._add_tombstones(keys)
        return len(keys)

    def since(self, revision: int) -> list[Noun]:
        """The rows that were touched after a revision."""
        query = _since(self._table, self._noun, self._connection.dialect)
        return [self.noun(row) for row in query.fetch(self._connection, revision)]

    def _equal(self, equal: dict[str, Any]) -> list[Any]:
        return [self._table.c[name] == value for name, value in equal.items()]

    def _add_tombstones(self, keys: Sequence[Key]) -> None:
        if self._stamp is None or not keys:
            return
        revision = self._stamp()
        row_keys = [json.dumps([str(part) for part in key]) for key in keys]
        # A key may be deleted twice within one revision, when it was put again in between.
        statement = adding(tables.tombstones, ("kind", "row_key", "revision"), self._connection.dialect)
        statement.run(self._connection, [repeat(self._table.info["kind"]), row_keys, repeat(revision)])


# Putting a statement together costs more than running it.


@lru_cache(maxsize=256)
def _upsert(table: Table, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    insert = _insert_into(table, dialect)
    keys = {column.name for column in table.primary_key.columns}
    changed = {name: insert.excluded[name] for name in names if name not in keys}
    if not changed:
        return Prepared(insert.on_conflict_do_nothing(), names, dialect)
    update = insert.on_conflict_do_update(index_elements=tuple(table.primary_key.columns), set_=changed)
    return Prepared(update, names, dialect)


@lru_cache(maxsize=256)
def adding(table: Table, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    """Enters rows that are not there yet, with values for the columns of these names."""
    insert = _insert_into(table, dialect)
    arrays = [_array(table.c[name]) for name in names]
    if dialect.name != "postgresql" or any(array is None for array in arrays):
        return Prepared(insert.on_conflict_do_nothing(), names, dialect)
    # One statement for all of them: each costs its server more than ten rows do.
    rows = func.unnest(*arrays).table_valued(*(column(name) for name in names)).render_derived()
    statement = insert.from_select(names, select(*rows.c)).on_conflict_do_nothing()
    return Prepared(statement, names, dialect, arrays=True)


def _array(of: Any) -> Any:
    """A parameter with values of a column; None where it is of a kind that there are no arrays for here."""
    # One of a limited length would cut off what is longer.
    kind = Text() if isinstance(of.type, String) else of.type
    if isinstance(kind, Text | Integer | Boolean | UtcDateTime):
        return bindparam(of.name, type_=ARRAY(kind))
    return None


def _insert_into(table: Table, dialect: Dialect) -> Any:
    if dialect.name != "postgresql":
        return sqlite.insert(table)
    # Most have no use for it, and all would wait for it at their start.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


@lru_cache(maxsize=512)
def _find(table: Table, noun: Any, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    _, _, columns, key, _ = _shape(table, noun)
    return _with(select(*columns), table, names, dialect, order=key)


@lru_cache(maxsize=256)
def _since(table: Table, noun: Any, dialect: Dialect) -> Prepared:
    _, _, columns, key, _ = _shape(table, noun)
    since = bindparam("since", type_=table.c.revision.type)
    return Prepared(select(*columns).where(table.c.revision > since).order_by(*key), ["since"], dialect)


@lru_cache(maxsize=256)
def _ready(query: Any, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    return Prepared(query, names, dialect)


@lru_cache(maxsize=256)
def _count(table: Table, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    return _with(select(func.count()).select_from(table), table, names, dialect)


@lru_cache(maxsize=256)
def _delete(table: Table, names: tuple[str, ...], dialect: Dialect) -> Prepared:
    return _with(delete(table).returning(*table.primary_key.columns), table, names, dialect)


@lru_cache(maxsize=256)
def _delete_one(table: Table, dialect: Dialect) -> Prepared:
    """Says how many there were and not which: SQLite takes as long to say so as to delete one."""
    names = tuple(column.name for column in table.primary_key.columns)
    return _with(delete(table), table, names, dialect)


def _with(
    statement: Any, table: Table, names: tuple[str, ...], dialect: Dialect, order: Sequence[Any] = ()
) -> Prepared:
    """For the rows whose columns of these names equal what is given."""
    statement = statement.where(*(_is_given(table.c[name]) for name in names))
    if order:
        statement = statement.order_by(*order)
    return Prepared(statement, [f"{name}_" for name in names], dialect)


def _is_given(column: Any) -> Any:
    return column == bindparam(f"{column.name}_", type_=column.type)


@lru_cache(maxsize=256)
def _delete_all(table: Table, dialect: Dialect) -> Prepared:
    (key,) = table.primary_key.columns
    # All keys in one parameter: the statement is the same however many there are.
    if dialect.name == "postgresql":
        wanted = key == any_(bindparam("keys", type_=ARRAY(key.type)))
    else:
        keys = func.json_each(bindparam("keys", type_=JSON)).table_valued("value")
        wanted = key.in_(select(keys.c.value))
    return Prepared(delete(table).where(wanted).returning(key), ["keys"], dialect)


class _Shape(NamedTuple):
    """How a noun's fields are columns of a table.

    Attributes:
        names: of the fields.
        read: gives their values of a noun.
        columns: theirs.
        key: the columns of the primary key.
        key_names: theirs.
    """

    names: tuple[str, ...]
    read: Callable[[Any], tuple[Any, ...]]
    columns: list[Any]
    key: tuple[Any, ...]
    key_names: tuple[str, ...]


def _only(name: str, noun: Any) -> tuple[Any]:
    return (getattr(noun, name),)


@cache
def _shape(table: Table, noun: type[Any]) -> _Shape:
    names = tuple(field.name for field in fields(noun) if field.metadata.get("column", True))
    key = tuple(table.primary_key.columns)
    # Of a single name it gives no tuple.
    read = attrgetter(*names) if len(names) > 1 else partial(_only, names[0])
    return _Shape(names, read, [table.c[name] for name in names], key, tuple(each.name for each in key))
