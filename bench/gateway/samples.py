"""What a run has: how much of everything, what was measured, and where."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bench.gateway import machine, profile
from bench.gateway.proxies import (
    HAPROXY_SIDE,
    HATCHWAY_SIDE,
    WEBSOCKIFY_SIDE,
    Proxy,
    haproxy,
    hatchway,
    websockify,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.gateway.installation import Installation

SPEED, PRICE = BULK_UNITS = "MB/s", "CPU s/GB"

_Start = Callable[["Installation", int, set[int]], AbstractContextManager[Proxy]]
_START: dict[str, _Start] = {
    HATCHWAY_SIDE: hatchway,
    HAPROXY_SIDE: haproxy,
    WEBSOCKIFY_SIDE: websockify,
}

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is done. `bulk` is in bytes, `slow_bulk` what websockify gets of it."""

    rounds: int = 5
    bulk: int = 1_000_000_000
    slow_bulk: int = 200_000_000
    trips: int = 4000
    opens: int = 1500
    at_once: int = 48
    idle: int = 5000
    endpoints: int = 10_000

    @property
    def fewer_rounds(self) -> int:
        """For rows that compare with themselves, or whose turns are long."""
        return (3 * self.rounds + 4) // 5


QUICK = Extent(
    rounds=2, bulk=100_000_000, slow_bulk=50_000_000, trips=300, opens=100, idle=100, endpoints=100
)


@dataclass
class Samples:
    """Values of each quantity of each side, one a round.

    `busy` has, for each quantity and side, how many cores' worth of time the proxy and the load took, and
    `unmeasured` why there is no ratio of a quantity.
    """

    values: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    busy: dict[str, dict[str, list[tuple[float, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    profiles: dict[str, str] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)

    def add(self, quantity: str, side: str, value: float) -> None:
        self.values[quantity][side].append(value)

    def add_bulk(self, quantity: str, side: str, size: int, cost: Cost) -> None:
        """So many bytes through a tunnel: how fast, and how dear."""
        self.add(f"{quantity} {SPEED}", side, size / cost.seconds / 1e6)
        self.add(f"{quantity} {PRICE}", side, cost.proxy / size * 1e9)
        self.busy[f"{quantity} {SPEED}"][side].append(cost.busy)

    def copy(self, quantity: str, side: str, to: str) -> None:
        """Have what was measured stand beside something else, too."""
        self.values[to][side] += self.values[quantity][side]

    def median(self, quantity: str, side: str) -> float:
        return statistics.median(self.values[quantity][side])


@dataclass
class Cost:
    """Seconds that went by, seconds of CPU of the proxy and of the load, and such that nobody took."""

    seconds: float = 0.0
    proxy: float = 0.0
    load: float = 0.0
    idle: float = 0.0

    @property
    def busy(self) -> tuple[float, float]:
        return self.proxy / self.seconds, self.load / self.seconds


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it runs: an installation in a directory, the target, the core of the proxies; and how much."""

    directory: Path
    installation: Installation
    target_port: int
    target_pid: int
    core: int
    extent: Extent
    profiled: bool
    samples: Samples = field(default_factory=Samples)

    @contextmanager
    def sides(self, *names: str) -> Iterator[list[Proxy]]:
        """These proxies, running, all on the one core; one at a time has something to do."""
        with ExitStack() as stack:
            yield [
                stack.enter_context(_START[name](self.installation, self.target_port, {self.core}))
                for name in names
            ]

    @contextmanager
    def cost(self, proxy: Proxy) -> Iterator[Cost]:
        """What the block costs, once it is over."""
        cost = Cost()
        load = [os.getpid(), self.target_pid]
        proxy_before, load_before = proxy.cpu_seconds(), machine.cpu_seconds(load)
        idle_before = machine.idle_seconds()
        start = time.perf_counter()
        yield cost
        cost.seconds = time.perf_counter() - start
        cost.proxy = proxy.cpu_seconds() - proxy_before
        cost.load = machine.cpu_seconds(load) - load_before
        cost.idle = machine.idle_seconds() - idle_before

    def profile(self, quantity: str, proxy: Proxy, work: Callable[[], object]) -> None:
        """See where the time goes, in a run that is not measured."""
        with profile.shares(proxy.carriers(), self.profiled) as told:
            work()
        if told:
            self.samples.profiles[f"{quantity}, {proxy.name}"] = ", ".join(told)


def in_turns(things: list[Thing], rounds: int) -> Iterator[Thing]:
    """Each of them once a round, each round beginning with another one."""
    for number in range(rounds):
        first = number % len(things)
        yield from things[first:] + things[:first]
