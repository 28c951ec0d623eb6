"""How the store's database is connected to: what each of its connections is told, and how long it waits."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from hatchway.privileges import as_owner_of
from hatchway.store.pooler import settle
from hatchway.store.primary import follow_primary, names_several
from hatchway.store.sqlite_file import watch_file
from hatchway.store.sqlite_writer import SqliteWriter
from hatchway.store.url import parse_store_url
from hatchway.store.writing import is_writing

_BUSY_SECONDS = 15.0
"""How long to wait for a lock that another holds; `?timeout=` in SQLite's URL says otherwise."""
SERVERS_READ_TIMEOUT: Final = 20.0
"""Seconds: the `read_timeout` of servers, whose statements all take less. What somebody begins by hand may
take any time."""
CONNECTIONS, _KEPT_CONNECTIONS = 15, 5
"""How many connections a process may have, and how many of them it keeps when they are not in use."""
_POSTGRESQL_ARGUMENTS = {
    # A server that has gone without closing the connection is noticed (libpq: "Parameter Key Words").
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    # Whatever the database is of, or says otherwise.
    "client_encoding": "utf8",
}
_OF_SEVERAL = {"connect_timeout": "3", "target_session_attrs": "read-write"}
"""Where the URL names several servers: each may be the one that is gone, and only one may be written."""
POSTGRESQL_SETTINGS = {
    "lock_timeout": f"{_BUSY_SECONDS:.0f}s",
    # A process that is stopped within a transaction does not stop the others.
    "idle_in_transaction_session_timeout": "60s",
    # The only one that psycopg reads.
    "datestyle": "ISO",
}
_POSTGRESQL_SESSIONS = {
    # One whose client has gone without a word holds what it has locked: others wait for less than that.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "12s",
}
"""Of the server's own side of a connection (PostgreSQL: "Connections and Authentication")."""


class DriverMissing(Exception):
    """What it takes to speak to PostgreSQL is not installed."""

    def __init__(self) -> None:
        super().__init__("a store in PostgreSQL takes psycopg: run pip install 'hatchway[postgresql]'")


def open_engine(
    url: str, *, connections: int, read_timeout: float | None, named_in: Path | None
) -> tuple[Engine, SqliteWriter | None]:
    """The engine of a store, and of one in SQLite its writer. See `Store.open`."""
    parsed = parse_store_url(url)
    pool = {"pool_size": _KEPT_CONNECTIONS, "max_overflow": max(0, connections - _KEPT_CONNECTIONS)}
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, pool, named_in)
    return _postgresql(parsed, pool, read_timeout, named_in), None


def _sqlite(parsed: URL, pool: Mapping[str, int], named_in: Path | None) -> tuple[Engine, SqliteWriter]:
    busy_seconds = float(str(parsed.query.get("timeout", _BUSY_SECONDS)))
    engine = create_engine(parsed, connect_args={"timeout": busy_seconds}, hide_parameters=True, **pool)
    place = named_in or Path(parsed.database or "").absolute().parent
    open_as_owner(engine, place)
    watch = watch_file(engine)
    event.listen(engine, "connect", partial(_prepare_sqlite, place))
    event.listen(engine, "begin", _begin_sqlite)
    return engine, SqliteWriter(engine, busy_seconds, watch)


def _postgresql(
    parsed: URL, pool: Mapping[str, int], read_timeout: float | None, named_in: Path | None
) -> Engine:
    wanted = _POSTGRESQL_ARGUMENTS | (_OF_SEVERAL if names_several(parsed) else {})
    arguments = {name: value for name, value in wanted.items() if name not in parsed.query}
    try:
        engine = create_engine(
            parsed.update_query_dict(arguments),
            # Whatever is the database's default: who has waited for a lock sees what was done meanwhile.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            hide_parameters=True,
            **pool,
        )
    except ImportError:
        raise DriverMissing from None
    follow_primary(engine)
    of_sessions = {
        name: value
        for name, value in _POSTGRESQL_SESSIONS.items()
        if name not in str(parsed.query.get("options", ""))
    }
    # Not above: without psycopg they cannot be loaded.
    from hatchway.store.pipeline import allow_pipelines

    allow_pipelines(engine)
    if read_timeout is not None:
        from hatchway.store.read_timeout import set_read_timeout

        set_read_timeout(engine, read_timeout)
    if named_in is not None:
        open_as_owner(engine, named_in)
    settle(engine, {} if "options" in parsed.query else POSTGRESQL_SETTINGS, of_sessions)
    return engine


def open_as_owner(engine: Engine, directory: Path) -> None:
    """Has connections made as the user to whom the directory belongs, where this is root."""
    pool: Any = engine.pool
    make = pool._creator

    def make_as_owner(connection_record: Any = None) -> Any:
        with as_owner_of(directory):
            return make(connection_record)

    # What it does is several events', of which each would have to know of the others.
    pool._creator = make_as_owner


def _prepare_sqlite(place: Path, connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, says when a transaction begins: the driver's own way defers the lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The first statement opens the log and its index. Until the connection is closed no file is opened again.
    with as_owner_of(place):
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if not is_writing(connection):
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")
