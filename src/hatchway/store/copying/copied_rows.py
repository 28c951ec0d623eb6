"""One of the two databases of a copy: its tables' rows, in one form.

Moments are texts of UTC, JSON is its text, flags are numbers: to that either database brings them by itself.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Column, Connection, Table, TypeDecorator
from sqlalchemy.exc import DBAPIError

from hatchway.store import tables
from hatchway.store.columns import UtcDateTime
from hatchway.store.prepared import fail
from hatchway.store.schema import current_schema

_PORTION: Final = 2000
_LARGE_PORTION: Final = 200
"""Rows of a portion, and of tables with texts of any length."""

Row = tuple[Any, ...]


class SourceFailed(Exception):
    """The source cannot be read; why is its cause."""


@dataclass(frozen=True, slots=True)
class Sum:
    """How many rows a table has, and a digest of them, whatever their order: the sum of each one's."""

    rows: int = 0
    digest: int = 0

    def plus(self, rows: Sequence[Row]) -> "Sum":
        each = (hashlib.blake2b(repr(row).encode(errors="surrogatepass"), digest_size=16) for row in rows)
        total = sum(int.from_bytes(one.digest(), "big") for one in each)
        return Sum(self.rows + len(rows), (self.digest + total) % (1 << 128))

    def __str__(self) -> str:
        return f"{self.digest:032x}"


class Side:
    """One of the two databases, over one connection. Statements have `?` for each parameter."""

    def __init__(self, connection: Connection, *, is_source: bool = False) -> None:
        self._connection = connection
        self._is_source = is_source
        self._postgresql = connection.dialect.name == "postgresql"

    def run(self, sql: str, *parameters: Any) -> Any:
        """
        Raises:
            SourceFailed, DBAPIError: the database does not do it.
        """
        try:
            return self._connection.exec_driver_sql(
                sql.replace("?", "%s") if self._postgresql else sql, parameters
            )
        except DBAPIError as problem:
            if self._is_source:
                raise SourceFailed from problem
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._connection.begin():
            if self._postgresql:
                # A killed copy loses no more than its last portions; `Store.write` waits for the disk.
                self.run("SET LOCAL synchronous_commit = off")
                self.run("SET LOCAL TimeZone = 'UTC'")
            yield

    def rows(self, table: Table, after: Sequence[Any] | None = None) -> Iterator[list[Row]]:
        """All rows of a table, or those after a primary key, a portion at a time.

        Each portion's last key is `key_of` its last row.
        """
        keys = list(table.primary_key.columns)
        columns = ", ".join(self._read(column) for column in table.columns)
        names = ", ".join(_quoted(column) for column in keys)
        following = f" WHERE ({names}) > ({', '.join(self._given(column) for column in keys)})"
        most = _portion(table)
        # All parts are names of columns.
        query = f"SELECT {columns} FROM {name_of(table)}{{}} ORDER BY {names} LIMIT {most}"  # noqa: S608
        while True:
            cursor = (
                self.run(query.format("")) if after is None else self.run(query.format(following), *after)
            )
            portion = [tuple(row) for row in cursor]
            if portion:
                yield portion
                after = key_of(table, portion[-1])
            if len(portion) < most:
                return

    def sum(self, table: Table, tell: Callable[[int], None]) -> Sum:
        total = Sum()
        for portion in self.rows(table):
            total = total.plus(portion)
            tell(total.rows)
        return total

    def enter(self, table: Table, rows: Sequence[Row]) -> None:
        columns = ", ".join(map(_quoted, table.columns))
        if not self._postgresql:
            places = ", ".join("?" * len(table.columns))
            insert = f"INSERT INTO {name_of(table)} ({columns}) VALUES ({places})"  # noqa: S608
            self._connection.exec_driver_sql(insert, list(rows))
            return
        driver: Any = self._connection.connection.driver_connection
        copy = f"COPY {name_of(table)} ({columns}) FROM STDIN"
        with driver.cursor() as cursor:
            try:
                with cursor.copy(copy) as into:
                    for row in rows:
                        into.write_row(row)
            except Exception as problem:
                fail(self._connection, problem, cursor, copy)

    def schema(self) -> str | None:
        return current_schema(self._connection)

    def settle(self) -> None:
        """Has what a table's own sequence gives come after what is there, and statistics of it all."""
        if not self._postgresql:
            return
        for table in tables.metadata.sorted_tables:
            (key, *others) = table.primary_key.columns
            if not others and key.name == "id" and key.type.python_type is int:
                serial = f"pg_get_serial_sequence('{table.name}', 'id')"
                last = f"SELECT coalesce(max(id), 1) FROM {name_of(table)}"  # noqa: S608
                self.run(f"SELECT setval({serial}, ({last})) WHERE {serial} IS NOT NULL")
        self.run("ANALYZE")

    def _read(self, column: Column[Any]) -> str:
        name = _quoted(column)
        if isinstance(column.type, UtcDateTime):
            if self._postgresql:
                return f"to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
            return f"CASE length({name}) WHEN 19 THEN {name} || '.000000' ELSE {name} END"
        if not self._postgresql:
            return name
        if isinstance(column.type, Boolean):
            return f"{name}::int"
        if isinstance(column.type, TypeDecorator) and isinstance(column.type.impl_instance, JSON):
            return f"{name}::text"
        return name

    def _given(self, column: Column[Any]) -> str:
        return "?::timestamptz" if self._postgresql and isinstance(column.type, UtcDateTime) else "?"


def key_of(table: Table, row: Row) -> list[Any]:
    """A row's primary key."""
    places = {column.name: place for place, column in enumerate(table.columns)}
    return [row[places[column.name]] for column in table.primary_key.columns]


def _portion(table: Table) -> int:
    return _LARGE_PORTION if table in (tables.audit_records, tables.credential_reports) else _PORTION


def name_of(table: Table) -> str:
    return f'"{table.name}"'


def _quoted(column: Column[Any]) -> str:
    return f'"{column.name}"'
