"""Statements that go to PostgreSQL together, and whose answers come together (libpq: "Pipeline Mode").

A statement that is sent by itself has the client's thread and the server's process wake each other, which
costs both of them more than most statements do. So what is said in a pipelined transaction is kept until
somebody wants an answer, or the transaction is committed; then all of it goes, and the thread waits once.

A statement that fails is told of when its answer comes. The server passes over all that was sent behind it,
the commit too. Between two exchanges the connection is as any other.
"""

import select
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

from psycopg import Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import DiagnosticField, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError

from hatchway.store.pooler import is_behind_pooler
from hatchway.store.prepared import fail, pipeline_of, sent_through
from hatchway.store.problems import NothingCommitted, TransactionEnded

_STATEMENTS: Final = "hatchway_statements"
_MOST_STATEMENTS: Final = 500
"""Of one connection, which is closed then: what is forgotten here, the server may know yet."""
_FRESH_SECONDS: Final = 1.0
"""For how long a connection is taken for good after a commit in a pipeline, as long as nothing comes from it:
a server that ends one says so, or closes it."""
_OUT_OF_DATE: Final = frozenset({"26000", "0A000"})
"""What a prepared statement fails with that the server does not have any more, or that would give other types
than when it was prepared, as a migration has changed a column: invalid_sql_statement_name and
feature_not_supported (PostgreSQL: "PostgreSQL Error Codes")."""
_BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED"
"""Whatever is the database's default: who has waited for a lock sees what was done meanwhile."""
_DONE: Final = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)

_Key = tuple[bytes, tuple[int, ...]]
_good_until: Final[WeakKeyDictionary[Any, float]] = WeakKeyDictionary()
"""By the driver's connections: the time of `time.monotonic`."""


class Answer:
    """What the server says to one statement. Whoever asks for it has all go that was kept until now."""

    def __init__(
        self,
        pipeline: "Pipeline",
        sql: str,
        values: Sequence[Any] = (),
        types: tuple[int, ...] = (),
        formats: Sequence[Format] = (),
    ) -> None:
        """The values are as the server takes them: of these types, in these formats."""
        self._pipeline = pipeline
        self.sql = sql
        self.values = values
        self.types = types
        self.formats = formats
        self.result: PGresult | None = None

    def rows(self) -> list[tuple[Any, ...]]:
        """
        Raises:
            DBAPIError: it has failed, or one that went with it.
        """
        return self._pipeline.read(self._result())

    def count(self) -> int:
        """How many rows it has changed.

        Raises:
            DBAPIError: it has failed, or one that went with it.
        """
        return self._result().command_tuples or 0

    def status(self) -> bytes:
        """What the server calls that which it has done.

        Raises:
            DBAPIError: it has failed, or one that went with it.
        """
        return self._result().command_status or b""

    def _result(self) -> PGresult:
        if self.result is None:
            self._pipeline.exchange()
        if self.result is None:
            raise TransactionEnded("the transaction was given up before this was sent")
        return self.result


class Pipeline:
    """What is said to the server in one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._transformer = Transformer(self._driver)
        self._statements = _statements(connection.info)
        self._prepares = not is_behind_pooler(connection)
        self._kept: list[Answer] = []
        self._lost = False

    def send(self, sql: str, values: Sequence[Any] = ()) -> Answer:
        """Keeps a statement, whose parameters are `$1` and so on, until it has to go.

        Raises:
            DBAPIError: the server has no such values.
        """
        transformer = self._transformer
        try:
            given = transformer.dump_sequence(values, [_format(value) for value in values])
        except Error as problem:
            fail(self._connection, problem, None, sql)
        if not self._kept and self._status == TransactionStatus.IDLE:
            self._kept.append(Answer(self, _BEGIN))
        answer = Answer(self, sql, given, transformer.types or (), transformer.formats or ())
        self._kept.append(answer)
        return answer

    def read(self, result: PGresult) -> list[tuple[Any, ...]]:
        """The rows of a result."""
        self._transformer.set_pgresult(result)
        rows: list[tuple[Any, ...]] = self._transformer.load_rows(0, result.ntuples, tuple)
        return rows

    def commit(self, then: str | None) -> None:
        """Commits, with all that was kept, and runs another statement after that.

        Raises:
            NothingCommitted: a statement has failed that went with the commit, before it.
            TransactionEnded: the server has ended the transaction of its own accord.
            DBAPIError: whether it is committed is not known.
        """
        if not self._kept and self._status == TransactionStatus.IDLE:
            return
        before = [*self._kept]
        committed = self.send("COMMIT")
        if then is not None:
            self.send(then)
        try:
            self.exchange()
        except Exception as problem:
            # A pooler that has lost the server says so in the place of what that has said to all of it.
            is_known = self._prepares or not self._lost
            if is_known and any(each.result is not None and _sqlstate(each.result) for each in before):
                raise NothingCommitted(problem) from problem
            raise
        # In a transaction that has failed it is no error, and undoes all.
        if committed.status() != b"COMMIT":
            raise TransactionEnded("the database has ended the transaction")
        _good_until[self._driver] = time.monotonic() + _FRESH_SECONDS

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Undoes all that was said within when it raises; what was kept does not go any more."""
        try:
            yield
        except BaseException:
            self._kept.clear()
            if self._status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}:
                # When that fails the connection is closed, and the server does it.
                with suppress(DBAPIError):
                    self.send("ROLLBACK")
                    self.exchange()
            raise

    def exchange(self) -> None:
        """Sends all that was kept, and waits for the answers.

        Raises:
            DBAPIError: one of them has failed.
        """
        sent, self._kept = self._kept, []
        if not sent:
            return
        pgconn: PGconn = self._driver.pgconn
        try:
            with self._driver.lock:
                pgconn.enter_pipeline_mode()
                put = _Put(pgconn, self._statements, prepares=self._prepares)
                for answer in sent:
                    put.statement(answer)
                pgconn.pipeline_sync()
                self._driver.wait(put.answers())
                pgconn.exit_pipeline_mode()
        except BaseException as problem:
            # What it would answer to the next statement is not known.
            self._lost = True
            self._driver.close()
            if not isinstance(problem, Error):
                # Else it would be rolled back, and that have failed in the problem's place.
                self._connection.invalidate()
            fail(self._connection, problem, None, sent[-1].sql)
        for answer in sent:
            if answer.result is not None and answer.result.status not in _DONE:
                if _sqlstate(answer.result) in _OUT_OF_DATE:
                    self._statements.names.clear()
                fail(self._connection, error_from_result(answer.result), None, answer.sql)

    @property
    def _status(self) -> int:
        return int(self._driver.info.transaction_status)


class _Statements:
    """Those that are prepared on a connection: their names by their texts and the types of their values."""

    def __init__(self) -> None:
        self.names: dict[_Key, bytes] = {}
        self.made = 0


class _Put:
    """Puts statements into the connection's buffer, and gets their answers in turn."""

    def __init__(self, pgconn: PGconn, statements: _Statements, *, prepares: bool) -> None:
        self._pgconn = pgconn
        self._statements = statements
        self._prepares = prepares
        self._preparing: dict[_Key, bytes] = {}
        self._wanted: list[Answer | _Key] = []

    def statement(self, answer: Answer) -> None:
        sql = answer.sql.encode()
        if not self._prepares:
            self._pgconn.send_query_params(sql, answer.values, answer.types, answer.formats)
        else:
            key = sql, answer.types
            name = self._statements.names.get(key) or self._preparing.get(key)
            if name is None:
                self._statements.made += 1
                name = self._preparing[key] = b"hatchway_%d" % self._statements.made
                self._pgconn.send_prepare(name, sql, answer.types)
                self._wanted.append(key)
            self._pgconn.send_query_prepared(name, answer.values, answer.formats)
        self._wanted.append(answer)

    def answers(self) -> Generator[Wait, Ready | int, None]:
        """Waits, as psycopg has it: yields what for, and is sent what there is."""
        pgconn = self._pgconn
        while pgconn.flush():
            if (yield Wait.RW) & Ready.R:
                pgconn.consume_input()
        unprepared: PGresult | None = None
        for wanted in self._wanted:
            result = yield from self._next()
            if isinstance(wanted, Answer):
                wanted.result, unprepared = unprepared or result, None
            elif result.status in _DONE:
                self._statements.names[wanted] = self._preparing[wanted]
            else:
                unprepared = result
        result = yield from self._next()
        if result.status != ExecStatus.PIPELINE_SYNC:
            raise OperationalError("the database server has answered more than it was asked")

    def _next(self) -> Generator[Wait, Ready | int, PGresult]:
        """The next result. Between two statements' there is None, and again and again when nothing comes."""
        pgconn = self._pgconn
        for _ in range(3):
            while pgconn.is_busy():
                if (yield Wait.R):
                    pgconn.consume_input()
            if (result := pgconn.get_result()) is not None:
                return result
        raise OperationalError("the database server has answered less than it was asked")


@contextmanager
def pipelined(connection: Connection) -> Iterator[Pipeline]:
    """What is said on the connection meanwhile goes together."""
    pipeline = Pipeline(connection)
    with sent_through(pipeline, connection.connection.driver_connection):
        yield pipeline


def allow_pipelines(engine: Engine) -> None:
    """Has whatever SQLAlchemy says on a pipelined connection come after what was kept, no statement be called
    by a name that is not there any more, and no connection be asked whether it is good right after a commit
    in a pipeline."""

    def before(cursor: Any, *_: Any) -> None:
        if (pipeline := pipeline_of(cursor.connection)) is not None:
            pipeline.exchange()

    def undone(connection: Connection, *_: Any) -> None:
        if not connection.invalidated:
            _forget(connection.connection.driver_connection, connection.info)

    def given_back(driver: Any, record: Any, _state: Any) -> None:
        _forget(driver, record.info)
        if _statements(record.info).made > _MOST_STATEMENTS:
            record.invalidate(soft=True)

    ask = engine.dialect.do_ping

    def ask_if_doubtful(driver: Any) -> bool:
        is_good = time.monotonic() < _good_until.get(driver, 0.0) and not _is_told_something(driver)
        return is_good or ask(driver)

    engine.dialect.do_ping = ask_if_doubtful  # type: ignore[method-assign, assignment]
    for name in ("do_execute", "do_execute_no_params", "do_executemany"):
        event.listen(engine, name, before)
    event.listen(engine, "rollback", undone)
    event.listen(engine, "rollback_savepoint", undone)
    event.listen(engine, "reset", given_back)


def _is_told_something(driver: Any) -> bool:
    """Whether something has come that nobody has asked for, or the end."""
    waiting = select.poll()
    waiting.register(driver.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))


def _forget(driver: Any, info: dict[Any, Any]) -> None:
    # psycopg has the server forget all that is prepared when it rolls back.
    if driver.info.transaction_status != TransactionStatus.IDLE:
        _statements(info).names.clear()


def _statements(info: dict[Any, Any]) -> _Statements:
    if _STATEMENTS not in info:
        info[_STATEMENTS] = _Statements()
    found: _Statements = info[_STATEMENTS]
    return found


def _format(value: Any) -> PyFormat:
    # As text, an array's elements are escaped one character after the other: thirty times as slow.
    return PyFormat.BINARY if isinstance(value, list) else PyFormat.AUTO


def _sqlstate(result: PGresult) -> str:
    """The server's code of an error; empty of what is none, or was found by the client."""
    return (result.error_field(DiagnosticField.SQLSTATE) or b"").decode()
