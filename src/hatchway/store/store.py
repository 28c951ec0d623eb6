"""The store: an engine, its transactions, its migrations.

SQLite has a write-ahead log, and what was committed survives a killed process and a lost power supply (see
`sqlite_writer`). Writers take the write lock when they begin, so a decision and its effect are one.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, Executable, select

from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Vpc
from hatchway.store import tables
from hatchway.store.change_feed.feed import BEGINNING, Changes, Position, epoch
from hatchway.store.change_feed.notifications import ChangeNotifications, change_notifications
from hatchway.store.engines import CONNECTIONS, open_engine
from hatchway.store.locks import MAKE_DURABLE
from hatchway.store.schema import Schema
from hatchway.store.sqlite_writer import SqliteWriter
from hatchway.store.transaction import Transaction, require_open

OF_VPCS: Final = frozenset({"instances", "security_groups"})
"""The tables of the feed whose rows matter to those alone who serve their VPCs. They are the large ones."""
Serves = Callable[[Vpc, Sequence[Endpoint]], bool]
"""Whether a follower serves a VPC, which has these endpoints."""
_VPCS_AT_ONCE = 500
_ACCOUNT_LOCK = select(tables.feed.c.revision).with_for_update()
"""Held by the one who changes the account. A gateway's role may read that row, so it cannot lock it."""


class Store:
    """Everything that Hatchway remembers."""

    def __init__(
        self,
        engine: Engine,
        writer: SqliteWriter | None = None,
        required: Callable[[Transaction], None] = lambda tx: None,
        usable: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self._writer = writer
        self._required = required
        self._usable = usable

    def only_when(self, required: Callable[[Transaction], None]) -> "Store":
        """The same store, to which nothing is written but when that is as required.

        `required` is called first in each transaction that writes, and raises otherwise.
        """

        def each(tx: Transaction) -> None:
            self._required(tx)
            required(tx)

        return Store(self.engine, self._writer, each, self._usable)

    def only_while(self, usable: Callable[[], None]) -> "Store":
        """The same store, which is neither read nor written but while that is so.

        `usable` is called before each use, and raises otherwise.
        """
        return Store(self.engine, self._writer, self._required, usable)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        connections: int = CONNECTIONS,
        read_timeout: float | None = None,
        named_in: Path | None = None,
    ) -> "Store":
        """Opens a store by its URL (see `hatchway.store.url`). Creates nothing.

        Root opens it as the user to whom the directory belongs that it is in, and as the one to whom that
        belongs in which its URL was found.

        Args:
            connections: how many there may be at once; who wants one more waits.
            read_timeout: for how many seconds a database server may say nothing at all to whoever waits for
                it; None: for ever.
            named_in: a directory in which the URL was found.

        Raises:
            BadStoreUrl: it is none.
            DriverMissing: what it takes to speak to that database is not installed.
        """
        return cls(*open_engine(url, connections=connections, read_timeout=read_timeout, named_in=named_in))

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
        if self._writer is None:
            self.engine.dispose()
        else:
            self._writer.close()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One consistent view; nothing can be changed through it."""
        self._usable()
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield Transaction(connection, feeds=False)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction that may change the account: the only writer of the account while it lasts."""
        self._usable()
        with self._begin(_ACCOUNT_LOCK) as connection:
            tx = Transaction(connection, feeds=True)
            self._required(tx)
            yield tx

    @contextmanager
    def record(self, *, in_pipeline: bool = False) -> Iterator[Transaction]:
        """One transaction for what no gateway follows: audit records, tunnels, pushed keys, leases.

        Others record meanwhile. What must not be decided twice at once, the transaction locks by name
        (`Transaction.lock`). Others have the names when it is committed; who leaves this context does when
        that is on the disk, too.

        `in_pipeline` is whether statements whose answers nobody wants go to PostgreSQL with the next, the
        last ones with the commit: who leaves this context may be told of what has failed within.

        Raises:
            NothingCommitted: such a statement has failed as the context was left.
        """
        self._usable()
        if self._writer is not None:
            with self._writer.transaction() as connection:
                tx = Transaction(connection, feeds=False)
                self._required(tx)
                yield tx
            return
        if in_pipeline:
            with self._in_pipeline() as tx:
                yield tx
            return
        with self.engine.connect() as connection:
            tx = Transaction(connection, feeds=False)
            with connection.begin():
                self._required(tx)
                yield tx
                require_open(connection)
            if tx.hands_over:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql(MAKE_DURABLE)

    @contextmanager
    def _in_pipeline(self) -> Iterator[Transaction]:
        from hatchway.store.pipeline import pipelined

        with (
            self.engine.connect() as connection,
            pipelined(connection) as pipeline,
            connection.begin(),
            pipeline.undoing(),
        ):
            tx = Transaction(connection, feeds=False)
            self._required(tx)
            yield tx
            pipeline.commit(MAKE_DURABLE if tx.hands_over else None)

    @contextmanager
    def _begin(self, lock: Executable | None) -> Iterator[Connection]:
        if self._writer is not None:
            with self._writer.transaction() as connection:
                yield connection
            return
        with self.engine.connect() as connection, connection.begin():
            if lock is not None:
                connection.execute(lock)
            yield connection
            require_open(connection)

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """For a question or two, each by itself: a transaction round them would take two more journeys to
        PostgreSQL, and be undone, which its statistics count."""
        self._usable()
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    def revision(self) -> int:
        """The account's revision now. `notifications` says when to ask."""
        with self._asking() as connection:
            return int(connection.execute(select(tables.feed.c.revision)).scalar_one())

    def position(self) -> Position:
        """The same with its mark."""
        with self._asking() as connection:
            return Transaction(connection, feeds=False).position()

    def server_time(self) -> datetime | None:
        """The moment by the clock of the database's server; None of SQLite, which has none."""
        if self.is_sqlite:
            return None
        with self._asking() as connection:
            return Transaction(connection, feeds=False).server_time()

    def answers(self) -> datetime | None:
        """Whether it can be read: the moment by the clock of the database's server, None of SQLite.

        Raises:
            Exception: it cannot.
        """
        with self._asking() as connection:
            tx = Transaction(connection, feeds=False)
            tx.revision()
            return tx.server_time()

    def notifications(self) -> AbstractAsyncContextManager[ChangeNotifications]:
        """When to ask for the revision: `await notifications.next()` returns when it may be new."""
        return change_notifications(self.engine)

    def changes(self, since: Position = BEGINNING, serves: Serves | None = None) -> Changes:
        """What has changed since a position; everything since the beginning.

        Args:
            serves: which VPCs the follower serves. The instances and security groups of others are left out
                where everything is read.

        Raises:
            BeingRestored: there is only a part of it yet.
        """
        with self.read() as tx:
            position = tx.position()
            everything = since.revision == 0 or not tx.follows(since)
            base = 0 if everything else since.revision
            # Many follow, and most changes are of one table.
            names = {table.name for table in tables.FEED} if everything else tx.changed_since(base)
            served = _served(tx, serves) if everything and serves is not None else None
            if served is not None:
                names -= OF_VPCS
            changed = {
                table.name: getattr(tx, table.name).since(base) if table.name in names else []
                for table in tables.FEED
            }
            if served is not None:
                changed |= _rows_of_vpcs(tx, served)
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

    @property
    def migrations(self) -> Schema:
        """Its tables, and whether this program can work on them."""
        return Schema(self.engine, lambda: self._begin(None), lambda: self._begin(_ACCOUNT_LOCK))

    def migrate(self) -> None:
        """See `Schema.migrate`."""
        self.migrations.migrate()

    def is_empty(self) -> bool:
        """Whether no installation has been made in the database."""
        return self.schema() is None

    def schema(self) -> str | None:
        """The schema that the database has; None of an empty one."""
        return self.migrations.revision()

    def check_schema(self, *, older: bool = False) -> str:
        """See `Schema.check`."""
        return self.migrations.check(older=older)


def _served(tx: Transaction, serves: Serves) -> list[str] | None:
    """The ids of the VPCs that are served; None where all are."""
    vpcs = tx.vpcs.find()
    endpoints: dict[str, list[Endpoint]] = defaultdict(list)
    for endpoint in tx.endpoints.find():
        endpoints[endpoint.vpc_id].append(endpoint)
    served = [vpc.id for vpc in vpcs if serves(vpc, endpoints[vpc.id])]
    return None if len(served) == len(vpcs) else served


def _rows_of_vpcs(tx: Transaction, vpc_ids: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {name: [] for name in OF_VPCS}
    for first in range(0, len(vpc_ids), _VPCS_AT_ONCE):
        some = vpc_ids[first : first + _VPCS_AT_ONCE]
        for name, rows in found.items():
            rows += getattr(tx, name).find(tables.metadata.tables[name].c.vpc_id.in_(some))
    return found
