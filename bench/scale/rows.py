"""What rows of the account cost a gateway: memory, time to load, bytes of the store."""

from __future__ import annotations

import gc
import multiprocessing
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.gateway import machine
from bench.scale import account

from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.keys.vault import Vault
from hatchway.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

GATEWAY_KEY = Vault(bytes(range(32)))


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one row, with what belongs to it."""

    memory: float
    seconds: float
    stored: float


KINDS: dict[str, Callable[[Store, int, int], None]] = {
    "host": account.put_hosts,
    "user": lambda store, first, count: account.put_users(store, GATEWAY_KEY, first, count),
    "session": lambda store, first, count: account.put_sessions(store, GATEWAY_KEY, first, count),
}
"""A host with its share of a VPC, group and endpoint; a user with a key, and its signing keys of three days;
a session with the signing key of one."""


def measure(directory: Path, count: int) -> dict[str, Cost]:
    """Each kind by two accounts, one with so many rows of it and one with twice as many."""
    found = {}
    for kind, put in KINDS.items():
        path = directory / f"{kind}.db"
        store = Store.open(f"sqlite:///{path}")
        store.migrate()
        account.found(store)
        sizes = []
        for part in (0, 1):
            put(store, part * count, count)
            _checkpoint(store)
            sizes.append((path.stat().st_size, *_load(str(path))))
        store.close()
        less, more = sizes
        stored, memory, seconds = ((second - first) / count for first, second in zip(less, more, strict=True))
        found[kind] = Cost(memory, seconds, stored)
    return found


def _checkpoint(store: Store) -> None:
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")


def _load(path: str) -> tuple[float, float]:
    """Bytes of memory and seconds of CPU that a gateway's snapshot takes, in a process of its own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_loaded, args=(path, there))
    process.start()
    memory, seconds = here.recv()
    process.join()
    return memory, seconds


def _loaded(path: str, told: Connection) -> None:
    store = Store.open(f"sqlite:///{path}")
    store.revision()
    snapshot = Snapshot(GATEWAY_KEY)
    gc.disable()
    before, began = machine.resident_bytes([os.getpid()]), time.process_time()
    Follower(store, snapshot, lambda *_: None).catch_up()
    seconds = time.process_time() - began
    gc.collect()
    told.send((machine.resident_bytes([os.getpid()]) - before, seconds))
    store.close()
