"""What it costs the database to let go of events: by portions, as it is done, and by dropping a table."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from bench.gateway import machine
from sqlalchemy import text

from hatchway.audit.retention import RetentionRun
from hatchway.store import Store
from hatchway.store.trail.audit_rows import in_order_of_index

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_TABLES: Final = ("audit_records", "audit_lookups")
_KEPT_DAYS: Final = 400
_PARTS: Final = 14
"""As many as 400 days have months, the next one included."""


@dataclass(slots=True)
class Spent:
    """Attributes:
    seconds: by the clock.
    database: seconds of CPU of the database's processes.
    log: bytes of the write-ahead log.
    """

    seconds: float = 0.0
    database: float = 0.0
    log: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Attributes:
    events: as many were let go.
    deleting: by portions, without the pauses between them, what works out each event's terms included.
    vacuuming: the tables' vacuum after it.
    dropping: the same events as two tables of their own.
    finding, finding_in_parts: pages that are looked at for what is seldom, in one index and in one a month.
    """

    events: int
    deleting: Spent
    vacuuming: Spent
    dropping: Spent
    finding: float
    finding_in_parts: float


def measure(url: str, pid: int, times: int) -> Measured:
    """The trail that is there so many times over: that is in the tables, and half of it too old."""
    store = Store.open(url)
    _enter_all(store)
    with _outside(store) as connection:
        _multiply(connection, times)
        _age_half(connection)
        for name in _TABLES:
            connection.execute(text(f"CREATE TABLE gone_{name} (LIKE {name} INCLUDING ALL)"))
            old = _OLD[name]
            connection.execute(text(f"INSERT INTO gone_{name} SELECT * FROM {name} WHERE {old}"))
            connection.execute(text(f"VACUUM (ANALYZE) {name}"))
        events = connection.execute(text("SELECT count(*) FROM audit_records")).scalar_one()
        connection.execute(text("CHECKPOINT"))
        dropping = Spent()
        with _spending(connection, pid, dropping):
            connection.execute(text(f"DROP TABLE {', '.join(f'gone_{name}' for name in _TABLES)}"))
        finding = _find(connection, "audit_lookups")
        parts = _in_parts(connection)
        finding_in_parts = _find(connection, parts)
        connection.execute(text(f"DROP TABLE {parts}"))
        with store.record() as tx:
            tx.audit_records.set_retention(_KEPT_DAYS, unexported_too=True)
        connection.execute(text("CHECKPOINT"))
        deleting, vacuuming = Spent(), Spent()
        run = RetentionRun(store, lambda: datetime.now(UTC), time.monotonic)
        with _spending(connection, pid, deleting):
            while run.run():
                pass
        with _spending(connection, pid, vacuuming):
            connection.execute(text(f"VACUUM {', '.join(_TABLES)}"))
    store.close()
    return Measured(events // 2, deleting, vacuuming, dropping, finding, finding_in_parts)


_OLD: Final = {
    "audit_records": f"event_time < now() - interval '{_KEPT_DAYS} days'",
    "audit_lookups": (f"moment < extract(epoch FROM now() - interval '{_KEPT_DAYS} days') * 1000000"),
}


def _enter_all(store: Store) -> None:
    """What events are found by, in its index: as later, when a few are the last that wait for that."""
    with store.record() as tx:
        while some := tx.audit_records.unindexed(2000):
            tx.audit_records.index(in_order_of_index(some))
            tx.audit_records.mark_indexed(some)


@contextmanager
def _outside(store: Store) -> Iterator[Connection]:
    with store.engine.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _spending(connection: Connection, pid: int, spent: Spent) -> Iterator[None]:
    log, database, began = _log(connection), machine.cpu_seconds(machine.tree(pid)), time.perf_counter()
    yield
    spent.seconds = time.perf_counter() - began
    spent.database = machine.cpu_seconds(machine.tree(pid)) - database
    spent.log = _log(connection) - log


def _log(connection: Connection) -> float:
    return float(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def _multiply(connection: Connection, times: int) -> None:
    """Each event once more and once more, under other ids, over four hundred days."""
    columns = "event_source, event_name, request_id, user_name, access_key_id, body, exported"
    connection.execute(text("CREATE TEMP TABLE one AS SELECT * FROM audit_records"))
    connection.execute(text("CREATE TEMP TABLE terms AS SELECT * FROM audit_lookups"))
    connection.execute(text("DELETE FROM audit_unexported"))
    for number in range(1, times):
        other = f"lpad(to_hex({number}), 8, '0') || substr(event_id, 9)"
        days = _KEPT_DAYS * number // times
        connection.execute(
            text(
                f"INSERT INTO audit_records (event_id, event_time, {columns})"
                f" SELECT {other}, event_time - interval '{days} days', {columns} FROM one"
            )
        )
        connection.execute(
            text(
                "INSERT INTO audit_lookups (term, moment, event_id)"
                f" SELECT term, moment - {days}::bigint * 86400000000, {other} FROM terms"
            )
        )


def _age_half(connection: Connection) -> None:
    """Half of the events become older than they are kept: all times go back by half of that."""
    days = _KEPT_DAYS // 2
    connection.execute(text(f"UPDATE audit_records SET event_time = event_time - interval '{days} days'"))
    connection.execute(text(f"UPDATE audit_lookups SET moment = moment - {days}::bigint * 86400000000"))
    connection.execute(text(f"VACUUM FULL {', '.join(_TABLES)}"))


def _in_parts(connection: Connection) -> str:
    """The index of what events are found by, parted by month."""
    connection.execute(
        text(
            "CREATE TABLE parted (LIKE audit_lookups, PRIMARY KEY (term, moment, event_id))"
            " PARTITION BY RANGE (moment)"
        )
    )
    now = datetime.now(UTC)
    oldest = _KEPT_DAYS + _KEPT_DAYS // 2 + 20
    edges = [int((now - timedelta(days=oldest - 31 * n)).timestamp() * 1e6) for n in range(_PARTS + 1)]
    for number, (low, high) in enumerate(pairwise(edges)):
        connection.execute(
            text(f"CREATE TABLE parted_{number} PARTITION OF parted FOR VALUES FROM ({low}) TO ({high})")
        )
    connection.execute(text("INSERT INTO parted SELECT * FROM audit_lookups"))
    connection.execute(text("ANALYZE parted"))
    return "parted"


def _find(connection: Connection, table: str) -> float:
    """Pages that are looked at for the newest 50 of a term that few events have, on average."""
    few = text(f"SELECT term FROM {table} GROUP BY term ORDER BY count(*) LIMIT 50")
    terms = list(connection.execute(few).scalars())
    query = text(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT moment, event_id FROM {table}"
        " WHERE term = :term ORDER BY moment DESC, event_id DESC LIMIT 50"
    )
    plans = [connection.execute(query, {"term": term}).scalar_one()[0]["Plan"] for term in terms]
    return sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans) / len(plans)
