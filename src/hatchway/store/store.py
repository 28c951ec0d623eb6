"""The store: an engine, its transactions, its migrations.

SQLite has a write-ahead log, and what was committed survives a killed process and a lost power supply (see
`sqlite_writer`). Writers take the write lock when they begin, so a decision and its effect are one.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Executable, create_engine, event, select
from sqlalchemy.exc import DBAPIError

from hatchway.store import tables
from hatchway.store.feed import BEGINNING, Changes, Position, epoch
from hatchway.store.locks import MAKE_DURABLE
from hatchway.store.notifications import ChangeNotifications, change_notifications
from hatchway.store.pooler import settle
from hatchway.store.sqlite_file import watch_file
from hatchway.store.sqlite_writer import SqliteWriter, begin_writing
from hatchway.store.transaction import Transaction, require_open
from hatchway.store.url import parse_store_url

_BUSY_SECONDS = 15.0
"""How long to wait for a lock that another holds; `?timeout=` in SQLite's URL says otherwise."""
_CONNECTIONS, _KEPT_CONNECTIONS = 15, 5
"""How many connections a process may have, and how many of them it keeps when they are not in use."""
_POSTGRESQL_ARGUMENTS = {
    # A server that has gone without closing the connection is noticed (libpq: "Parameter Key Words").
    "connect_timeout": "10",
    "tcp_user_timeout": "20000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_POSTGRESQL_SETTINGS = {
    "lock_timeout": f"{_BUSY_SECONDS:.0f}s",
    # A process that is stopped within a transaction does not stop the others.
    "idle_in_transaction_session_timeout": "60s",
}
_ACCOUNT_LOCK = select(tables.feed.c.revision).with_for_update()
"""Held by the one who changes the account. A gateway's role may read that row, so it cannot lock it."""


BEING_COPIED = "being copied"
"""In the place of a schema, as long as not all of another store has been copied here: nobody serves it."""


class SchemaMismatch(Exception):
    """The database's schema is not this program's. The message says which one to run."""

    def __init__(self, found: str | None) -> None:
        known = _known_schemas()
        head = known.get_current_head()
        if found is None:
            told = "for nobody has made an installation there: run 'hatchway init'"
        elif found == BEING_COPIED:
            told = "which was not finished: run the same 'hatchway store copy' again, which goes on with it"
        elif found in {script.revision for script in known.walk_revisions()}:
            told = f"this program needs {head}: start 'hatchway serve' with the newest version once"
        else:
            told = (
                f"that of a newer version, and this program knows none after {head}: install the newer"
                " version again, or restore a backup from before it"
            )
        super().__init__(f"the store's schema is {found or 'empty'}, {told}")


class DriverMissing(Exception):
    """What it takes to speak to PostgreSQL is not installed."""

    def __init__(self) -> None:
        super().__init__("a store in PostgreSQL takes psycopg: run pip install 'hatchway[postgresql]'")


class Store:
    """Everything that Hatchway remembers."""

    def __init__(self, engine: Engine, writer: SqliteWriter | None = None) -> None:
        self.engine = engine
        self._writer = writer

    @classmethod
    def open(cls, url: str, *, connections: int = _CONNECTIONS) -> "Store":
        """Opens a store by its URL (see `hatchway.store.url`). Creates nothing.

        `connections` is how many there may be at once; who wants one more waits.

        Raises:
            BadStoreUrl: it is none.
            DriverMissing: what it takes to speak to that database is not installed.
        """
        parsed = parse_store_url(url)
        pool = {"pool_size": _KEPT_CONNECTIONS, "max_overflow": max(0, connections - _KEPT_CONNECTIONS)}
        if parsed.get_backend_name() == "sqlite":
            busy_seconds = float(str(parsed.query.get("timeout", _BUSY_SECONDS)))
            engine = create_engine(
                parsed, connect_args={"timeout": busy_seconds}, hide_parameters=True, **pool
            )
            watch_file(engine)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return cls(engine, SqliteWriter(engine, busy_seconds))
        arguments = {name: value for name, value in _POSTGRESQL_ARGUMENTS.items() if name not in parsed.query}
        try:
            engine = create_engine(
                parsed.update_query_dict(arguments), pool_pre_ping=True, hide_parameters=True, **pool
            )
        except ImportError:
            raise DriverMissing from None
        settle(engine, {} if "options" in parsed.query else _POSTGRESQL_SETTINGS)
        return cls(engine)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def server_hosts(self) -> tuple[str, ...]:
        """The database servers' names or addresses, as the URL has them; none of a file or a socket."""
        url = self.engine.url
        given = [url.host or ""]
        for key in ("host", "hostaddr"):
            value = url.query.get(key, ())
            given += [value] if isinstance(value, str) else value
        hosts = (host.strip() for text in given for host in text.split(","))
        # libpq takes a path for a socket's directory, and @ for one in the abstract namespace.
        return tuple(dict.fromkeys(host for host in hosts if host and host[0] not in "/@"))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One consistent view; nothing can be changed through it."""
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield Transaction(connection, feeds=False)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction that may change the account: the only writer of the account while it lasts."""
        with self._begin(_ACCOUNT_LOCK) as connection:
            yield Transaction(connection, feeds=True)

    @contextmanager
    def record(self) -> Iterator[Transaction]:
        """One transaction for what no gateway follows: audit records, tunnels, pushed keys, leases.

        Others record meanwhile. What must not be decided twice at once, the transaction locks by name
        (`Transaction.lock`). Others have the names when it is committed; who leaves this context does when
        that is on the disk, too.
        """
        if self._writer is not None:
            with self._begin(None) as connection:
                yield Transaction(connection, feeds=False)
            return
        with self.engine.connect() as connection:
            tx = Transaction(connection, feeds=False)
            with connection.begin():
                yield tx
                require_open(connection)
            if tx.hands_over:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql(MAKE_DURABLE)

    @contextmanager
    def _begin(self, lock: Executable | None) -> Iterator[Connection]:
        if self._writer is not None:
            with self._writer.transaction() as connection:
                yield connection
                require_open(connection)
            return
        with self.engine.connect() as connection, connection.begin():
            if lock is not None:
                connection.execute(lock)
            yield connection
            require_open(connection)

    def revision(self) -> int:
        """The account's revision now. `notifications` says when to ask."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(tables.feed.c.revision)).scalar_one())

    def position(self) -> Position:
        """The same with its mark."""
        with self.engine.connect() as connection:
            return Transaction(connection, feeds=False).position()

    def notifications(self) -> AbstractAsyncContextManager[ChangeNotifications]:
        """When to ask for the revision: `await notifications.next()` returns when it may be new."""
        return change_notifications(self.engine)

    def changes(self, since: Position = BEGINNING) -> Changes:
        """What has changed since a position; everything since the beginning.

        Raises:
            BeingRestored: there is only a part of it yet.
        """
        with self.read() as tx:
            position = tx.position()
            everything = since.revision == 0 or not tx.follows(since)
            base = 0 if everything else since.revision
            changed = {table.name: getattr(tx, table.name).since(base) for table in tables.FEED}
            deleted: dict[str, list[tuple[str, ...]]] = defaultdict(list)
            # Also for who has yet to see the last changes: their marks may be there before their rows.
            tx.require_whole()
            if not everything:
                for kind, key in tx.deleted_since(base):
                    # Of a table that a later version has, this one knows nothing.
                    if (name := tables.KINDS.get(kind)) is not None:
                        deleted[name].append(tuple(json.loads(key)))
            # Who was away for long has only missed what is forgotten.
            restored = (
                since.revision > 0
                and everything
                and (
                    since.revision > position.revision
                    or epoch(since.revision) != epoch(position.revision)
                    or since.revision >= tx.floor()
                )
            )
        return Changes(position, everything, restored, changed, dict(deleted))

    def migrate(self) -> None:
        """Brings the schema to this program's; a new database gets all of it.

        Each migration is a transaction. What one has to `fill` beforehand goes in portions, each of which is
        one too. So others may write meanwhile, and what has ended in the middle goes on from there.

        Raises:
            SchemaMismatch: the database is newer than the program.
        """
        config = _alembic_config()
        known = ScriptDirectory.from_config(config)
        current = self.schema()
        if current is not None and current not in {script.revision for script in known.walk_revisions()}:
            raise SchemaMismatch(current)
        if current is None:
            # Nothing is in it that anybody waits for.
            try:
                self._upgrade(config, "head")
            except DBAPIError:
                # Another may have made it at the same moment: then it was waited for.
                if self.schema() is None:
                    raise
        else:
            for script in reversed(list(known.iterate_revisions("head", current))):
                if hasattr(script.module, "fill"):
                    script.module.fill(lambda: self._begin(_ACCOUNT_LOCK))
                self._upgrade(config, script.revision)
        if self.is_sqlite:
            # What a migration has taken away is not left in the write-ahead log.
            with self.engine.connect() as connection:
                connection.exec_driver_sql("ROLLBACK")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("BEGIN")

    def is_empty(self) -> bool:
        """Whether no installation has been made in the database."""
        return self.schema() is None

    def schema(self) -> str | None:
        """The schema that the database has; None of an empty one."""
        with self.engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def _upgrade(self, config: Config, revision: str) -> None:
        with self._begin(None) as connection:
            if not (self.is_sqlite or self.is_empty()):
                # One at a time: another control plane may start at the same moment. What that one has done
                # is then seen, and not done again. Who only reads does not wait.
                connection.exec_driver_sql("LOCK TABLE alembic_version IN SHARE ROW EXCLUSIVE MODE")
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def check_schema(self, *, older: bool = False) -> str:
        """Refuses to work on a schema that is not this program's. Returns the schema, such as `0005`.

        With `older`, one that this program could migrate will do.

        Raises:
            SchemaMismatch: the database is newer or older than the program.
        """
        known = _known_schemas()
        current = self.schema()
        fits = {script.revision for script in known.walk_revisions()} if older else {known.get_current_head()}
        if current is None or current not in fits:
            raise SchemaMismatch(current)
        return current


def newest_schema() -> str:
    """This program's."""
    return str(_known_schemas().get_current_head())


def _known_schemas() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic_config())


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, says when a transaction begins: the driver's own way defers the lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if not begin_writing(connection):
        driver: Any = connection.connection.driver_connection
        driver.execute("BEGIN")
