"""Four gateways beside one on PostgreSQL, as ratios measured in one run.

    python -m bench.ha [--quick] [--rounds N] [--seconds N] [--openers N]

The same openers open and close tunnels through one gateway or through four, with commits that take longer by
nothing, 10 ms and 40 ms. Exits with 1 when a promised ratio does not hold, except with --quick, whose numbers
mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.gateway import machine
from bench.gateway.cpu_share import CannotHold, held
from bench.gateway.installation import HATCHWAY, small
from bench.gateway.openings import open_and_close
from bench.gateway.proxies import started
from bench.gateway.samples import in_turns
from bench.gateway.target import target
from bench.ha.database import database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gateway.installation import Installation

GATEWAYS: Final = 4
DELAYS: Final = (0, 10, 40)
"""Milliseconds by which a commit takes longer."""
NEVER_SLOWER: Final = 0.95
"""What four gateways open of what one does, with the same openers: as much, as far as can be measured."""
FILLED: Final = 3.0
"""What four gateways open of what one does, when that one has no more of a processor."""
SHARE: Final = 0.1
"""Of a core: the database, the load and what else runs are to have the rest."""


class Gateways:
    """Some gateways, whose clients take turns."""

    def __init__(self, ports: list[int], request: bytes) -> None:
        self._addresses = cycle([("127.0.0.1", port) for port in ports])
        self._request = request

    @property
    def address(self) -> tuple[str, int]:
        return next(self._addresses)

    def request(self) -> bytes:
        return self._request

    def rate(self, seconds: float, openers: int) -> float:
        """Tunnels opened a second."""
        until = time.perf_counter() + seconds

        def requests() -> Iterator[bytes]:
            while time.perf_counter() < until:
                yield self._request

        opened = open_and_close(self, requests(), at_once=openers)
        return opened.count / opened.seconds


@contextmanager
def gateway(installation: Installation, store_url: str, number: int) -> Iterator[tuple[int, int]]:
    """One gateway process; its port and process id."""
    path = installation.directory.path
    command = [*HATCHWAY, "gateway", "--data-dir", str(path), "--store-url", store_url]
    command += ["--gateway", "127.0.0.1:0"]
    with started(command, path / f"gateway-{number}.log") as (pid, ready):
        url = next(word for word in ready if word.startswith("gateway="))
        (worker,) = [child for child in machine.tree(pid) if child != pid] or [pid]
        yield int(url.rpartition(":")[2]), worker


def main() -> None:
    """Measure, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--rounds", type=int, default=5, help="how often everything is measured")
    arguments.add_argument("--seconds", type=float, default=6.0, help="how long each time")
    arguments.add_argument("--openers", type=int, default=64, help="tunnels being opened at once")
    given = arguments.parse_args()
    rounds, seconds = (1, 1.0) if given.quick else (given.rounds, given.seconds)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="hatchway-bench-") as directory, ExitStack() as stack:
        # PostgreSQL's own user goes through it.
        Path(directory).chmod(0o755)
        store = stack.enter_context(database(Path(directory, "database")))
        installation = small(Path(directory, "account"), store.url)
        command = [*HATCHWAY, "control", "--data-dir", str(installation.directory.path)]
        command += ["--store-url", store.url, "--api", "127.0.0.1:0"]
        stack.enter_context(started(command, Path(directory, "control.log")))
        port, _ = stack.enter_context(target(machine.allowed()))
        running = [
            stack.enter_context(gateway(installation, store.url, number)) for number in range(GATEWAYS)
        ]
        request = installation.ways[0].request(port)
        ports, pids = [port for port, _ in running], [pid for _, pid in running]
        sides = {1: Gateways(ports[:1], request), GATEWAYS: Gateways(ports, request)}
        sides[GATEWAYS].rate(seconds / 2, given.openers)
        for delay in DELAYS:
            store.delay_commits(delay)
            for count in in_turns([*sides], rounds):
                rates[f"{delay} ms", count].append(sides[count].rate(seconds, given.openers))
        store.delay_commits(0)
        try:
            for count in in_turns([*sides], rounds):
                with held(pids[:count], SHARE):
                    rates["held", count].append(sides[count].rate(seconds, given.openers))
        except CannotHold as problem:
            print(f"not held to a share of a core: {problem}", file=sys.stderr)
    kept = _table(rates)
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {rounds} rounds, medians")
    if not kept and not given.quick:
        sys.exit(1)


def _table(rates: dict[tuple[str, int], list[float]]) -> bool:
    """Print it; whether all of it is as promised."""
    all_kept = True
    print(f"| commits take longer by | one gateway | {GATEWAYS} gateways | ratio | promised |")
    print("|---|---|---|---|---|")
    for row in [*(f"{delay} ms" for delay in DELAYS), "held"]:
        if (row, 1) not in rates:
            continue
        promised = FILLED if row == "held" else NEVER_SLOWER
        one, four = (statistics.median(rates[row, count]) for count in (1, GATEWAYS))
        # One round beside another: what else the machine does falls on both.
        ratio = statistics.median(
            many / few for few, many in zip(rates[row, 1], rates[row, GATEWAYS], strict=True)
        )
        told = f"0 ms, each held to {SHARE:.0%} of a core" if row == "held" else row
        print(f"| {told} | {one:.0f} /s | {four:.0f} /s | {ratio:.2f} | {promised} |")
        all_kept &= ratio >= promised
    return all_kept


if __name__ == "__main__":
    main()
