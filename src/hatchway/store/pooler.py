"""PostgreSQL behind a pooler of connections, such as PgBouncer, which may give each transaction another
session.

Then nothing of a session lasts: no statement that was prepared, no setting, and nobody is told of changes.
A pooler is told from the server by the process id that it gives at the login, which is its own.
"""

from typing import Any, Final

from sqlalchemy import Connection, Engine, event

from hatchway.store.prepared import pipeline_of

_POOLED: Final = "hatchway_pooled"
_TRIES: Final = 10


def settle(engine: Engine, settings: dict[str, str], of_sessions: dict[str, str]) -> None:
    """Has these settings hold: of each session, or behind a pooler of each transaction.

    Those of sessions alone are the pooler's own matter. Behind one no statement is prepared.
    """
    each = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    all_names = "; ".join(f"SET {name} = '{value}'" for name, value in (settings | of_sessions).items())

    def connected(connection: Any, record: Any) -> None:
        connection.autocommit = True
        record.info[_POOLED] = is_pooled(connection)
        if record.info[_POOLED]:
            connection.prepare_threshold = None
        elif all_names:
            connection.execute(all_names)
        connection.autocommit = False

    def begun(connection: Connection) -> None:
        if not settings or not is_behind_pooler(connection):
            return
        if (pipeline := pipeline_of(connection.connection.driver_connection)) is not None:
            pipeline.send(f"SELECT {each}")
        else:
            connection.exec_driver_sql(f"SELECT {each}")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


def is_behind_pooler(connection: Connection) -> bool:
    """Whether its next transaction may be another session's, or another server's."""
    return bool(connection.info.get(_POOLED))


def is_pooled(connection: Any) -> bool:
    """Whether a pooler answers, and not the server."""
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    return bool(pid != connection.info.backend_pid)


def pools_by_transaction(engine: Engine) -> bool:
    """Whether each transaction may be another session's: one has been, as far as can be seen."""
    with engine.connect() as one, engine.connect() as other:
        if not one.info.get(_POOLED):
            return False
        for _ in range(_TRIES):
            # A pooler gives the session that was left last to whoever comes next.
            if _session_of(one) == _session_of(other):
                return True
    return False


def _session_of(connection: Connection) -> int:
    with connection.begin():
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
