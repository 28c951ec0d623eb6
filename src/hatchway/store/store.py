"""The store: an engine, its transactions, its migrations.

SQLite runs in WAL mode with `synchronous=FULL`: what was committed survives a killed process and a lost power
supply. Writers take the write lock when they begin, so a decision and its effect are one.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, select, text
from sqlalchemy.engine import make_url

from hatchway.store import tables
from hatchway.store.feed import Changes
from hatchway.store.transaction import Transaction

_BUSY_SECONDS = 15
# Keys of PostgreSQL's advisory locks: one for what changes the account, one for what gateways record.
_ACCOUNT_LOCK, _RECORD_LOCK = 0x48617463, 0x48617464
_BEGIN = "hatchway_begin"


class SchemaMismatch(Exception):
    """The database's schema is not this program's."""


class Store:
    """Everything that Hatchway remembers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = threading.Lock()

    @classmethod
    def open(cls, url: str) -> "Store":
        """Opens a store by its SQLAlchemy URL (`sqlite:///…`, `postgresql+psycopg://…`). Creates nothing."""
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = create_engine(parsed, pool_pre_ping=True)
        return cls(engine)

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def close(self) -> None:
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
        """One transaction for what no gateway follows: audit records, tunnels, pushed keys, leases."""
        with self._begin(_RECORD_LOCK) as connection:
            yield Transaction(connection, feeds=False)

    @contextmanager
    def _begin(self, lock: int) -> Iterator[Connection]:
        # SQLite's own waiting for its one write lock is by chance: within a process, writers take turns.
        turn = self._writing if self.is_sqlite else nullcontext()
        with turn, self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
                yield connection

    def revision(self) -> int:
        """The account's revision now: cheap enough to ask ten times a second."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(tables.feed.c.revision)).scalar_one())

    def changes(self, since: int) -> Changes:
        """What has changed after revision `since`; 0 gives everything."""
        with self.read() as tx:
            revision = tx.revision()
            everything = since < tx.floor() or since == 0
            base = 0 if everything else since
            changed = {table.name: getattr(tx, table.name).since(base) for table in tables.FEED}
            deleted: dict[str, list[tuple[str, ...]]] = defaultdict(list)
            if not everything:
                for kind, key in tx.deleted_since(since):
                    deleted[kind].append(tuple(json.loads(key)))
        return Changes(revision=revision, everything=everything, changed=changed, deleted=dict(deleted))

    def migrate(self) -> None:
        """Brings the schema to this program's; a new database gets all of it."""
        with self.engine.connect() as connection:
            config = _alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def check_schema(self) -> None:
        """Refuses to work on a schema that is not this program's.

        Raises:
            SchemaMismatch: the database is newer or older than the program.
        """
        head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        if current != head:
            raise SchemaMismatch(f"the store's schema is {current or 'empty'}, this program needs {head}")


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy, not the driver, says when a transaction begins: the driver's own way defers the lock.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (f"busy_timeout={_BUSY_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))
