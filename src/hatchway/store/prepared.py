"""Statements as the database's driver takes them.

Each time that a statement runs, SQLAlchemy looks up how it is compiled, builds its parameters again, name by
name for every row, and wraps its result, which together costs several times what SQLite needs to run it. So
what is run often is compiled once, and goes to the driver itself.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any

from sqlalchemy import Connection, Dialect, Insert
from sqlalchemy.exc import DBAPIError


class Prepared:
    """A statement and the names of its parameters; for an INSERT, these are columns."""

    def __init__(self, statement: Any, names: Sequence[str], dialect: Dialect) -> None:
        columns = list(names) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        # None where the driver takes parameters by name.
        order: Sequence[str] | None = compiled.positiontup
        self._sql = str(compiled)
        self._names = tuple(compiled.binds) if order is None else None
        # What stands in the statement itself follows what is given.
        fixed = [name for name in compiled.binds if name not in names]
        self._fixed = [compiled.binds[name].value for name in fixed]
        places = [*names, *fixed]
        self._taken: list[tuple[int, Callable[[Any], Any] | None]] = [
            (places.index(name), compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in order or self._names or ()
        ]
        given = (
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in getattr(statement, "exported_columns", ())
        )
        # Of the columns of its result, those that the driver does not give as they are to be.
        self._given = [(place, process) for place, process in enumerate(given) if process is not None]

    def run(self, connection: Connection, columns: Sequence[Iterable[Any]]) -> None:
        """Runs it once for each row of the columns, which come in the order of the names.

        Raises:
            DBAPIError: the database does not do it.
        """
        given = [*columns, *map(repeat, self._fixed)]
        values = [
            given[place] if process is None else map(process, given[place]) for place, process in self._taken
        ]
        # A column of one value for all rows has no end.
        rows: list[Any] = list(zip(*values, strict=False))
        if self._names is not None:
            rows = [dict(zip(self._names, row, strict=True)) for row in rows]
        if len(rows) == 1:
            self._execute(connection, rows[0])
        else:
            self._execute(connection, rows, how="executemany")

    def fetch(self, connection: Connection, *values: Any) -> list[tuple[Any, ...]]:
        """Runs it with values in the order of the names. Returns the rows that it gives.

        Raises:
            DBAPIError: the database does not do it.
        """
        _, rows = self._execute(connection, self._parameters(values), fetching=True)
        if not self._given or not rows:
            return rows
        # By columns, as there may be 100,000 rows.
        read: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for place, process in self._given:
            read[place] = map(process, read[place])
        return list(zip(*read, strict=True))

    def scalar(self, connection: Connection, *values: Any) -> Any:
        """The one value that it gives.

        Raises:
            DBAPIError: the database does not do it.
        """
        ((value,),) = self.fetch(connection, *values)
        return value

    def count(self, connection: Connection, *values: Any) -> int:
        """Runs it with values in the order of the names. Returns how many rows it has changed.

        Raises:
            DBAPIError: the database does not do it.
        """
        count, _ = self._execute(connection, self._parameters(values))
        return count

    def _parameters(self, values: Sequence[Any]) -> Any:
        given = (*values, *self._fixed) if self._fixed else values
        row = tuple(
            [given[place] if process is None else process(given[place]) for place, process in self._taken]
        )
        return row if self._names is None else dict(zip(self._names, row, strict=True))

    def _execute(
        self, connection: Connection, parameters: Any, how: str = "execute", *, fetching: bool = False
    ) -> tuple[int, list[tuple[Any, ...]]]:
        """How many rows it has changed, and those that it gives."""
        for told in connection.engine.dispatch.before_cursor_execute:
            # Whoever watches the engine's statements sees these too.
            told(connection, None, self._sql, parameters, None, how == "executemany")
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        try:
            getattr(cursor, how)(self._sql, parameters)
            return cursor.rowcount, cursor.fetchall() if fetching else []
        except Exception as problem:
            raise as_sqlalchemy_has_it(connection, problem, cursor, self._sql) from problem
        finally:
            cursor.close()


def as_sqlalchemy_has_it(connection: Connection, problem: Exception, cursor: Any, sql: str) -> BaseException:
    """The exception to raise in the place of one that the driver has raised; any other is itself."""
    dialect = connection.dialect
    error: type[Exception] = dialect.loaded_dbapi.Error
    if not isinstance(problem, error):
        return problem
    if dialect.is_disconnect(problem, connection.connection.driver_connection, cursor):  # type: ignore[arg-type]
        connection.invalidate(problem)
    return DBAPIError.instance(sql, None, problem, error, hide_parameters=True, dialect=dialect)
