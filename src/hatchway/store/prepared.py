"""Statements as the database's driver takes them.

Each time that a statement runs, SQLAlchemy looks up how it is compiled, builds its parameters again, name by
name for every row, and wraps its result, which together costs several times what SQLite needs to run it. So
what is run often is compiled once, and goes to the driver itself.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sqlalchemy import Boolean, Connection, Dialect, Insert
from sqlalchemy.exc import DBAPIError

from hatchway.store.writing import require_transaction

if TYPE_CHECKING:
    from hatchway.store.pipeline import Answer, Pipeline

_pipelines: Final[dict[Any, "Pipeline"]] = {}
"""By the driver's connections whose statements go there."""


def pipeline_of(connection: Any) -> "Pipeline | None":
    """Where the statements of a connection of the driver go; None where each goes by itself."""
    return _pipelines.get(connection)


@contextmanager
def sent_through(pipeline: "Pipeline", connection: Any) -> Iterator[None]:
    """Has the statements of a connection of the driver go there meanwhile."""
    _pipelines[connection] = pipeline
    try:
        yield
    finally:
        del _pipelines[connection]


class Prepared:
    """A statement and the names of its parameters; for an INSERT, these are columns."""

    def __init__(
        self, statement: Any, names: Sequence[str], dialect: Dialect, *, arrays: bool = False
    ) -> None:
        """`arrays` is whether each parameter takes the values of all rows, as one array."""
        columns = list(names) if isinstance(statement, Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        self._sql = self._sql_by_places = str(compiled)
        order: Sequence[str] | None = compiled.positiontup
        self._names: tuple[str, ...] | None = None
        if order is None:
            # The driver takes parameters by name, and its pipelines take them by place.
            kind: Any = type(dialect)
            by_places = statement.compile(dialect=_by_places(kind), column_keys=columns)
            self._sql_by_places = str(by_places)
            order = self._names = tuple(by_places.positiontup)
        self._arrays = arrays
        # What stands in the statement itself follows what is given.
        fixed = [name for name in compiled.binds if name not in names]
        self._fixed = [compiled.binds[name].value for name in fixed]
        given = [*names, *fixed]
        places = [given.index(name) for name in order]
        # Where each parameter's value stands among those; None where they come as they are taken.
        self._places = None if places == list(range(len(given))) else places
        # Of the parameters those that the driver does not take as they are given.
        self._bound = _processes(_to_driver(compiled.binds[name].type, dialect) for name in order)
        # Of the columns of its result, those that the driver does not give as they are to be.
        self._given = _processes(
            column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in getattr(statement, "exported_columns", ())
        )

    def run(self, connection: Connection, columns: Sequence[Iterable[Any]]) -> None:
        """Runs it once for each row of the columns, which come in the order of the names.

        Raises:
            DBAPIError: the database does not do it.
        """
        if self._arrays:
            # A column of one value for all rows has no end.
            columns = [[list(column)] for column in zip(*zip(*columns, strict=False), strict=True)]
        taken = self._in_order([*columns, *map(repeat, self._fixed)])
        for place, process in self._bound:
            taken[place] = map(process, taken[place])
        rows: list[Any] = list(zip(*taken, strict=False))
        if (pipeline := self._pipeline(connection)) is not None:
            for row in rows:
                self._send(connection, pipeline, row)
        elif len(rows) == 1:
            self._execute(connection, rows[0])
        else:
            self._execute(connection, rows, many=True)

    def ask(self, connection: Connection, *values: Any) -> Callable[[], list[tuple[Any, ...]]]:
        """Runs it with values in the order of the names. Returns what gives the rows that it gives.

        In a pipeline it does not go before somebody wants them, or something else.

        Raises:
            DBAPIError: the database does not do it; also by what is returned.
        """
        row = self._row(values)
        if (pipeline := self._pipeline(connection)) is not None:
            answer = self._send(connection, pipeline, row)
            return lambda: self._read(answer.rows())
        _, rows = self._execute(connection, row, fetching=True)
        return lambda: self._read(rows)

    def fetch(self, connection: Connection, *values: Any) -> list[tuple[Any, ...]]:
        """Runs it with values in the order of the names. Returns the rows that it gives.

        Raises:
            DBAPIError: the database does not do it.
        """
        return self.ask(connection, *values)()

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
        row = self._row(values)
        if (pipeline := self._pipeline(connection)) is not None:
            return self._send(connection, pipeline, row).count()
        count, _ = self._execute(connection, row)
        return count

    def _row(self, values: Sequence[Any]) -> Sequence[Any]:
        row = self._in_order([*values, *self._fixed])
        for place, process in self._bound:
            row[place] = process(row[place])
        return row

    def _in_order(self, given: list[Any]) -> list[Any]:
        """What is given in the order of the names, in that of the parameters."""
        return given if self._places is None else [given[place] for place in self._places]

    def _read(self, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if not self._given or not rows:
            return rows
        # By columns, as there may be 100,000 rows.
        read: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for place, process in self._given:
            read[place] = map(process, read[place])
        return list(zip(*read, strict=True))

    def _pipeline(self, connection: Connection) -> "Pipeline | None":
        return None if self._names is None else pipeline_of(connection.connection.dbapi_connection)

    def _send(self, connection: Connection, pipeline: "Pipeline", row: Sequence[Any]) -> "Answer":
        self._tell(connection, row, many=False)
        return pipeline.send(self._sql_by_places, row)

    def _execute(
        self, connection: Connection, given: Any, *, many: bool = False, fetching: bool = False
    ) -> tuple[int, list[tuple[Any, ...]]]:
        """How many rows it has changed, and those that it gives."""
        if self._names is not None:
            rows = [dict(zip(self._names, row, strict=True)) for row in (given if many else (given,))]
            given = rows if many else rows[0]
        driver: Any = connection.connection.dbapi_connection
        if self._names is None:
            require_transaction(connection, driver)
        self._tell(connection, given, many=many)
        cursor = driver.cursor()
        try:
            if many:
                cursor.executemany(self._sql, given)
            else:
                cursor.execute(self._sql, given)
            return cursor.rowcount, cursor.fetchall() if fetching else []
        except Exception as problem:
            fail(connection, problem, cursor, self._sql)
        finally:
            cursor.close()

    def _tell(self, connection: Connection, parameters: Any, *, many: bool) -> None:
        """Whoever watches the engine's statements sees these too."""
        for told in connection.engine.dispatch.before_cursor_execute:
            told(connection, None, self._sql, parameters, None, many)


_Process = Callable[[Any], Any]


_NUMBERS: Final[dict[Any, int | None]] = {True: 1, False: 0, None: None}


def _to_driver(kind: Any, dialect: Dialect) -> _Process | None:
    if not isinstance(kind, Boolean):
        processor: _Process | None = kind.dialect_impl(dialect).bind_processor(dialect)
        return processor
    # SQLAlchemy would look what each is. SQLite's driver takes a bool, too, but only after it has looked for
    # somebody who would adapt it.
    return _NUMBERS.__getitem__ if dialect.name == "sqlite" else None


def _processes(each: Iterable[_Process | None]) -> list[tuple[int, _Process]]:
    """Those that there are, with their places."""
    return [(place, process) for place, process in enumerate(each) if process is not None]


@cache
def _by_places(kind: Callable[..., Dialect]) -> Dialect:
    return kind(paramstyle="numeric_dollar")


def fail(connection: Connection, problem: BaseException, cursor: Any, sql: str) -> NoReturn:
    """
    Raises:
        DBAPIError: in the place of what the driver has raised, as SQLAlchemy does.
        BaseException: the problem, when it is none of the driver's.
    """
    dialect = connection.dialect
    error: type[Exception] = dialect.loaded_dbapi.Error
    if not isinstance(problem, error):
        raise problem
    if dialect.is_disconnect(problem, connection.connection.driver_connection, cursor):  # type: ignore[arg-type]
        # As SQLAlchemy does: the others are made anew, too.
        connection.engine.pool._invalidate(connection.connection, problem)
        connection.invalidate(problem)
    raise DBAPIError.instance(sql, None, problem, error, hide_parameters=True, dialect=dialect) from problem
