"""INSERTs as the database's driver takes them.

SQLAlchemy makes each row's parameters of a dictionary, name by name, which costs several times what SQLite
needs to write the row. So a statement is compiled once, and the nouns' fields go to the driver by columns.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Table

REVISION = "revision"
"""The column of the feed's tables that is not a noun's field."""


class Insertion:
    """An INSERT that takes these columns of a table."""

    def __init__(self, statement: Insert, table: Table, names: Sequence[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        self._sql = str(compiled)
        # None where the driver takes parameters by name.
        order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._by_name = None if order is not None else tuple(names)
        self._columns = [(_values(name), _processor(table, name, dialect)) for name in order or names]

    def run(self, connection: Connection, nouns: Sequence[Any], revision: int | None) -> None:
        """Inserts a row for each of one or more nouns; `revision` is for tables of the feed."""
        columns = [
            values(nouns, revision) if process is None else map(process, values(nouns, revision))
            for values, process in self._columns
        ]
        rows: list[Any] = list(zip(*columns, strict=False))
        if self._by_name is not None:
            rows = [dict(zip(self._by_name, row, strict=True)) for row in rows]
        connection.exec_driver_sql(self._sql, rows)


def _values(name: str) -> Callable[[Iterable[Any], int | None], Iterable[Any]]:
    if name == REVISION:
        return lambda _, revision: repeat(revision)
    field = attrgetter(name)
    return lambda nouns, _: map(field, nouns)


def _processor(table: Table, name: str, dialect: Dialect) -> Callable[[Any], Any] | None:
    return table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
