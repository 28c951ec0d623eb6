"""How long a change takes to reach every gateway, and what that costs the database: the real feed, read by as
many followers as there are gateways."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.gateway import machine
from bench.scale import account
from bench.scale.rows import GATEWAY_KEY

from hatchway.domain.identity import KeyStatus
from hatchway.gateway.snapshot.follower import Follower
from hatchway.gateway.snapshot.snapshot import Snapshot
from hatchway.store import Store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hatchway.gateway.snapshot.dependencies import Touched
    from hatchway.store import Changes

_OF_A_PROCESS: Final = 10
_SETTLE_SECONDS: Final = 6.0
"""After the last change: a follower that missed a notification looks every five seconds."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Of changes at a rate, as all followers saw them.

    Attributes:
        delays: seconds from a commit to when a follower's snapshot had it, by follower and change, sorted.
        database: seconds of CPU of the database's processes, for a second of wall clock.
        follower: the same of one follower.
    """

    rate: float
    delays: list[float]
    database: float
    follower: float

    def quantile(self, q: float) -> float:
        return self.delays[min(len(self.delays) - 1, int(q * len(self.delays)))]


def measure(
    url: str, database_pid: int, *, followers: int, rates: tuple[float, ...], seconds: float
) -> list[FanOut]:
    """Changes of one access key each, at each of the rates for so many seconds."""
    spawning = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    for first in range(0, followers, _OF_A_PROCESS):
        here, there = multiprocessing.Pipe()
        count = min(_OF_A_PROCESS, followers - first)
        process = spawning.Process(target=_follow, args=(url, count, there), daemon=True)
        process.start()
        processes.append(process)
        pipes.append(here)
    try:
        for pipe in pipes:
            pipe.recv()
        store = Store.open(url)
        pids = machine.tree(database_pid), [process.pid or 0 for process in processes]
        found = [_measure(store, pids, pipes, rate=rate, seconds=seconds) for rate in rates]
        store.close()
    finally:
        for process in processes:
            process.kill()
            process.join()
    return found


def _measure(
    store: Store,
    pids: tuple[list[int], list[int]],
    pipes: list[Connection],
    *,
    rate: float,
    seconds: float,
) -> FanOut:
    """`pids` are those of the database and of the followers."""
    committed: dict[int, float] = {}
    spent = [machine.cpu_seconds(each) for each in pids]
    began = time.monotonic()
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        status = KeyStatus.INACTIVE if number % 2 else KeyStatus.ACTIVE
        with store.write() as tx:
            tx.access_keys.put(account.access_key(number % 50, status))
            revision = tx.revision()
        committed[revision] = time.monotonic()
    took = time.monotonic() - began
    by_database, by_followers = (
        machine.cpu_seconds(each) - before for each, before in zip(pids, spent, strict=True)
    )
    time.sleep(_SETTLE_SECONDS)
    delays, followers = [], 0
    for pipe in pipes:
        pipe.send(None)
        for seen in pipe.recv():
            followers += 1
            at = 0
            for revision, time_committed in committed.items():
                while at < len(seen) and seen[at][0] < revision:
                    at += 1
                if at == len(seen):
                    raise RuntimeError(f"revision {revision} has not reached a follower")
                # What is seen while the writer is yet being told is seen at once.
                delays.append(max(0.0, seen[at][1] - time_committed))
    return FanOut(rate, sorted(delays), by_database / took, by_followers / took / followers)


def _follow(url: str, count: int, told: Connection) -> None:
    asyncio.run(_follow_all(url, count, told))


async def _follow_all(url: str, count: int, told: Connection) -> None:
    stores = [Store.open(url, connections=2) for _ in range(count)]
    seen: list[list[tuple[int, float]]] = [[] for _ in stores]
    tasks = []
    for store, its in zip(stores, seen, strict=True):

        def applied(changes: Changes, _: Touched, its: list[tuple[int, float]] = its) -> None:
            its.append((changes.revision, time.monotonic()))

        follower = Follower(store, Snapshot(GATEWAY_KEY), applied)
        await asyncio.to_thread(follower.catch_up)
        tasks.append(asyncio.create_task(follower.follow()))
    await asyncio.sleep(1)
    told.send(os.getpid())
    while True:
        await asyncio.to_thread(told.recv)
        told.send(seen)
        for its in seen:
            its.clear()
