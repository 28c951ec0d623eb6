"""What a tunnel's records cost the database: the real trail, whose openings and ends go into PostgreSQL."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from bench.gateway import machine
from bench.scale import revocation
from bench.scale.rows import GATEWAY_KEY
from sqlalchemy import text

from hatchway.audit.group_commit import GroupCommit
from hatchway.domain.tunnel import GatewayWorker
from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.gateway.trail.pending_records import PendingRecords
from hatchway.gateway.trail.trail import Trail, TunnelSummary
from hatchway.gateway.tunnel.closures import TARGET_CLOSED
from hatchway.gateway.worker.id_generator import IdGenerator
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKER = "gw-bench"
_OPENERS = 64


@dataclass(frozen=True, slots=True)
class TunnelCost:
    """Of one tunnel, opened and closed.

    Attributes:
        log: bytes of the write-ahead log.
        trail: bytes that stay: two events, and what they are found by.
        database, gateway: seconds of CPU of the database's processes, and of what enters it.
        rate: tunnels a second by the clock, with 64 at once.
    """

    log: float
    trail: float
    database: float
    gateway: float
    rate: float


def measure(url: str, database_pid: int, tunnels: int) -> TunnelCost:
    """So many, after a tenth of them that do not count."""
    store = Store.open(url)
    snapshot = Snapshot(GATEWAY_KEY)
    Follower(store, snapshot, lambda *_: None).catch_up()
    now = datetime.now(UTC)
    with store.record() as tx:
        tx.gateway_workers.put(
            GatewayWorker(
                id=_WORKER, host="bench", port=1, started_at=now, lease_until=now + timedelta(hours=1)
            )
        )
    asyncio.run(_enter(store, snapshot, range(tunnels // 10)))
    before = _sizes(store)
    database = machine.tree(database_pid)
    by_database, by_us, began = machine.cpu_seconds(database), time.process_time(), time.perf_counter()
    asyncio.run(_enter(store, snapshot, range(tunnels // 10, tunnels // 10 + tunnels)))
    took = time.perf_counter() - began
    by_us = time.process_time() - by_us
    by_database = machine.cpu_seconds(machine.tree(database_pid)) - by_database
    after = _sizes(store)
    store.close()
    log, trail = ((then - ago) / tunnels for ago, then in zip(before, after, strict=True))
    return TunnelCost(log, trail, by_database / tunnels, by_us / tunnels, tunnels / took)


def _sizes(store: Store) -> tuple[float, float]:
    """Bytes of the log so far, and of the trail."""
    tables = "sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'audit_%'"
    with store.engine.connect() as connection:
        log = connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one()
        trail = connection.execute(text(f"SELECT {tables}")).scalar_one()
    return float(log), float(trail)


async def _enter(store: Store, snapshot: Snapshot, numbers: range) -> None:
    commits = GroupCommit(store)
    ids = IdGenerator()
    trail = Trail(commits, _WORKER, ids.event, PendingRecords(commits))
    waiting: Iterator[int] = iter(numbers)

    async def opener() -> None:
        for number in waiting:
            admitted = revocation.admitted(snapshot, number)
            await trail.opened(admitted, datetime.now(UTC))
            await trail.closed(
                admitted, TunnelSummary(600.0, 10_000, 100_000, TARGET_CLOSED), datetime.now(UTC)
            )

    await asyncio.gather(*(opener() for _ in range(_OPENERS)))
    await asyncio.to_thread(commits.close)
