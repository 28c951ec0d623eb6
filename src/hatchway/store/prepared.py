"""Statements as the database's driver takes them.

Each time that a statement runs, SQLAlchemy builds its parameters again, name by name for every row, which
costs several times what SQLite needs to write the row. So what is run often is compiled once, and its
parameters go to the driver by columns.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect


class Prepared:
    """A statement and the names of its parameters; for an INSERT, these are columns."""

    def __init__(self, statement: Any, names: Sequence[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        # None where the driver takes parameters by name.
        order: Sequence[str] | None = compiled.positiontup
        self._sql = str(compiled)
        self._names = tuple(names) if order is None else None
        self._taken = [
            (names.index(name), compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in order or names
        ]

    def run(self, connection: Connection, columns: Sequence[Iterable[Any]]) -> CursorResult[Any]:
        """Runs it once for each row of the columns, which come in the order of the names."""
        values = [
            columns[place] if process is None else map(process, columns[place])
            for place, process in self._taken
        ]
        # A column of one value for all rows has no end.
        rows: list[Any] = list(zip(*values, strict=False))
        if self._names is not None:
            rows = [dict(zip(self._names, row, strict=True)) for row in rows]
        return connection.exec_driver_sql(self._sql, rows)
