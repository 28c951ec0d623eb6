"""A control plane of one process beside ones of several, on PostgreSQL: calls a second.

Each process is held to the same share of a core, so that there is room for all, and for the database.
"""

from __future__ import annotations

import statistics
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.api.beside import hatchway, measured
from bench.gateway import machine
from bench.gateway.cpu_share import held
from bench.gateway.measures import in_turns
from bench.ha.database import database
from sqlalchemy import create_engine

COUNTS: Final = (1, 2, 4)
SHARE: Final = 0.1
"""Of a core, for each process."""
CALLS: Final = ("GetCallerIdentity", "DescribeInstances, a page of 5", "CreateUser, DeleteUser")
_CLIENTS: Final = 12
"""Connections, which the kernel deals out to the processes."""


@dataclass(frozen=True)
class Row:
    call: str
    per_second: dict[int, float]
    """By the number of processes, the median."""


def measure(instances: int, *, seconds: float, rounds: int) -> list[Row]:
    """
    Raises:
        CannotHold: nobody may limit processes here.
    """
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory(prefix="hatchway-bench-") as directory, ExitStack() as stack:
        # PostgreSQL's own user goes through it.
        Path(directory).chmod(0o755)
        store = stack.enter_context(database(Path(directory, "database"), connections=500))
        engine = create_engine(store.url, isolation_level="AUTOCOMMIT")
        servers = {}
        for count in COUNTS:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE of_{count}")
            url = store.url.replace("/postgres?", f"/of_{count}?")
            servers[count] = stack.enter_context(hatchway(instances, url, "--api-workers", str(count)))
        engine.dispose()
        for count in in_turns([*COUNTS], rounds):
            server = servers[count]
            # With one there is no other that watches it.
            pids = [pid for pid in machine.tree(server.pid) if pid != server.pid] or [server.pid]
            with held(pids, SHARE):
                for call in CALLS:
                    found[call][count].append(measured(server, call, seconds, _CLIENTS).per_second)
    return [
        Row(call, {count: statistics.median(rates) for count, rates in counts.items()})
        for call, counts in found.items()
    ]
