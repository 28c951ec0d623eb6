"""What is written to SQLite by the one connection of a process that writes, and only within a transaction.

SQLite ends a transaction of its own accord where it cannot go on, as on a full disk ("Response To Errors
Within A Transaction"), and says so to whoever was at it. Each statement after that would be a transaction by
itself, and committed, although its caller is told in the end that nothing is.
"""

from typing import Any, Final

from sqlalchemy import Connection, event

from hatchway.store.problems import TransactionEnded

_WRITER: Final = "hatchway_writer"
"""What a connection's options have when it is a writer's."""


def write_by(connection: Connection) -> Connection:
    """Makes it a writer's: from now on it takes no statement of SQLAlchemy's outside of a transaction."""

    def look(told: Connection, *_: object) -> None:
        require_transaction(told, told.connection.dbapi_connection)

    # Of this connection alone, so that those who run statements by the driver are not told twice.
    event.listen(connection, "before_cursor_execute", look)
    return connection.execution_options(**{_WRITER: True})


def is_writing(connection: Connection) -> bool:
    """Whether it is a writer's, whose transaction has begun."""
    return _WRITER in connection.get_execution_options()


def require_transaction(connection: Connection, driver: Any) -> None:
    """Refuses a statement of a writer's whose transaction is over. `driver` is SQLite's own connection.

    Raises:
        TransactionEnded: it is.
    """
    if not driver.in_transaction and is_writing(connection):
        raise TransactionEnded("the database has ended the transaction")
