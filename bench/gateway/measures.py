"""The rows of the table: what is done to each side, in turns, and what comes of it."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from bench.gateway import machine, profile
from bench.gateway.cpu_share import CannotHold, held
from bench.gateway.floods import FLOODS, SETTLED, WARM_UP, flood
from bench.gateway.installation import Installation, sized
from bench.gateway.openings import Openings, open_and_close, open_and_keep
from bench.gateway.proxies import (
    HAPROXY_SIDE,
    HATCHWAY_SIDE,
    WEBSOCKIFY_SIDE,
    Proxy,
    haproxy,
    hatchway,
    websockify,
)
from bench.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ONE_WORKER, TWO_WORKERS = "one worker", "two workers"
FEW, MANY = "10 endpoints", "many endpoints"
UP, DOWN = "up", "down"
ALONE = "alone"
SPEED, PRICE = BULK_UNITS = "MB/s", "CPU s/GB"
WORKER_SHARE = 0.4
"""Of a core: what each worker has where they are held to a share."""

_MOST_LOAD = 0.75
"""Of a core: with more the load, which is one thread, may be what limits workers, and not their share."""

_LEAST_IDLE = 0.25
"""Of all cores: with less left over, whatever else runs there may be what limits them."""

_FLOOD_TURNS = {HATCHWAY_SIDE: 6, HAPROXY_SIDE: 2}
"""Pairs of turns a round: one differs from the next by a tenth or two without any flood."""

_START = {HATCHWAY_SIDE: hatchway, HAPROXY_SIDE: haproxy, WEBSOCKIFY_SIDE: websockify}

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


def throughput(bench: Bench) -> None:
    """One tunnel at a time, bulk in either direction: bytes a second, and CPU seconds for them."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE, WEBSOCKIFY_SIDE) as sides:
        ciphers = set()
        for proxy in sides:
            tunnel = Tunnel(proxy)
            tunnel.check()
            ciphers.add(tunnel.cipher)
            tunnel.close()
        if len(ciphers) != 1:
            raise AssertionError(f"not the same TLS everywhere: {ciphers}")
        for proxy in in_turns(sides, bench.extent.rounds):
            for direction in (UP, DOWN):
                _bulk(bench, proxy, direction)
        for proxy in sides[:2]:
            for direction in (UP, DOWN):
                bench.profile(direction, proxy, lambda: _bulk(bench, proxy, direction, counts=False))  # noqa: B023


def _bulk(bench: Bench, proxy: Proxy, direction: str, *, counts: bool = True) -> None:
    size, cost = _bulk_of(bench, proxy, direction)
    if counts:
        bench.samples.add_bulk(direction, proxy.name, size, cost)


def _bulk_of(bench: Bench, proxy: Proxy, direction: str) -> tuple[int, Cost]:
    size = bench.extent.slow_bulk if proxy.name == WEBSOCKIFY_SIDE else bench.extent.bulk
    tunnel = Tunnel(proxy)
    if direction == UP:
        upload = tunnel.upload(size)
        next(upload)
        with bench.cost(proxy) as cost:
            seconds = next(upload)
    else:
        with bench.cost(proxy) as cost:
            seconds = tunnel.download(size)
    tunnel.close()
    cost.seconds = seconds
    return size, cost


def floods(bench: Bench) -> None:
    """Bulk through tunnels without a flood and amid it, in short turns: bytes a second, and CPU for them."""
    forged = bench.installation.ways[0].request(bench.target_port)
    load = set(os.sched_getaffinity(0))
    short = replace(bench, extent=replace(bench.extent, bulk=bench.extent.bulk // 4))
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        turns = [(proxy, name) for name in FLOODS for proxy in sides]
        for proxy, name in in_turns(turns, bench.extent.rounds):
            side, alone = under(proxy.name, name), under(proxy.name, ALONE)
            with flood(name, proxy.address, forged, load) as attack:
                attack.hold()
                before = _flooded_bulk(short, proxy, alone)
                for turn in range(_FLOOD_TURNS[proxy.name]):
                    attack.let_go(SETTLED if turn else WARM_UP)
                    amid = _flooded_bulk(short, proxy, side)
                    attack.hold()
                    bench.samples.add("flood connections /s", side, attack.rate)
                    after = _flooded_bulk(short, proxy, alone)
                    for quantity, value in amid.items():
                        beside = (before[quantity] + after[quantity]) / 2
                        bench.samples.add(beside_alone(quantity), side, value / beside)
                    before = after


def under(proxy: str, name: str) -> str:
    """How a proxy's side is called in the row of floods."""
    return f"{proxy}, {name}"


def beside_alone(quantity: str) -> str:
    """How the ratio is called of a turn amid a flood to the turns right before and after it."""
    return f"{quantity}, amid / alone"


def _flooded_bulk(bench: Bench, proxy: Proxy, side: str) -> dict[str, float]:
    """One turn; what each quantity came to."""
    came = {}
    for direction in (UP, DOWN):
        size, cost = _bulk_of(bench, proxy, direction)
        quantity = f"flooded {direction}"
        bench.samples.add_bulk(quantity, side, size, cost)
        for unit in BULK_UNITS:
            came[f"{quantity} {unit}"] = bench.samples.values[f"{quantity} {unit}"][side][-1]
    return came


def echo(bench: Bench) -> None:
    """Messages of 64 bytes, one at a time, there and back."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE, WEBSOCKIFY_SIDE) as sides:
        # A turn takes a second, and what else the machine does decides on its slowest trips.
        for proxy in in_turns(sides, 3 * bench.extent.rounds):
            echo_into(bench, proxy, "echo")
        for proxy in sides[:2]:
            bench.profile("echo", proxy, lambda: _round_trips(bench, proxy))  # noqa: B023


def echo_into(bench: Bench, proxy: Proxy, quantity: str) -> None:
    """One turn of messages there and back."""
    with bench.cost(proxy) as cost:
        trips = _round_trips(bench, proxy)
    bench.samples.add(f"{quantity} p50 µs", proxy.name, trips[len(trips) // 2] * 1e6)
    bench.samples.add(f"{quantity} p99 µs", proxy.name, trips[len(trips) * 99 // 100] * 1e6)
    bench.samples.busy[f"{quantity} p50 µs"][proxy.name].append(cost.busy)


def _round_trips(bench: Bench, proxy: Proxy) -> list[float]:
    tunnel = Tunnel(proxy)
    trips = sorted(tunnel.echo(64, bench.extent.trips))
    tunnel.close()
    return trips


def opens(bench: Bench) -> None:
    """Tunnels opened, greeted through and closed, many at once: by seconds of CPU, and by seconds."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        for proxy in sides:
            _open(bench, proxy, bench.extent.opens // 5)
        for proxy in in_turns(sides, bench.extent.rounds):
            opens_of(bench, proxy, "opens", proxy.name)
        for proxy in sides:
            bench.profile("opens", proxy, lambda: _open(bench, proxy, bench.extent.opens))  # noqa: B023


def _open(bench: Bench, proxy: Proxy, count: int, *, times: int = 1) -> Openings:
    # Hatchway's clients are as many as there are ways; the others' are all alike.
    requests: list[bytes | None] = [*proxy.requests] or [proxy.request()]
    return open_and_close(
        proxy,
        [requests[number % len(requests)] for number in range(count)],
        at_once=bench.extent.at_once * times,
    )


def opens_of(bench: Bench, proxy: Proxy, quantity: str, side: str, *, times: int = 1) -> None:
    """One turn of openings."""
    with bench.cost(proxy) as cost:
        opened = _open(bench, proxy, bench.extent.opens, times=times)
    samples = bench.samples
    samples.add(f"{quantity} /CPU s", side, opened.count / cost.proxy)
    samples.add(f"{quantity} CPU ms", side, cost.proxy / opened.count * 1e3)
    samples.add(f"{quantity} /s", side, opened.count / opened.seconds)
    samples.add(f"{quantity} idle", side, cost.idle / cost.seconds / len(machine.allowed()))
    samples.add(f"{quantity} p50 ms", side, statistics.median(opened.latencies) * 1e3)
    samples.busy[f"{quantity} /CPU s"][side].append(cost.busy)


def memory(bench: Bench) -> None:
    """Tunnels opened and left: what each adds to the proxy's resident memory. Each proxy is a fresh one."""
    for name in in_turns([HATCHWAY_SIDE, HAPROXY_SIDE], 1):
        with bench.sides(name) as (proxy,):
            _open(bench, proxy, bench.extent.at_once)
            before = proxy.resident_bytes()
            kept = open_and_keep(proxy, bench.extent.idle, at_once=bench.extent.at_once)
            time.sleep(1)
            grown = proxy.resident_bytes() - before
            for sock in kept:
                sock.close()
        bench.samples.add("idle KiB", name, grown / bench.extent.idle / 1024)


def scale(bench: Bench) -> None:
    """The same opens where the account is small and where it is large; each way has been used once before."""
    endpoints, ways = bench.extent.endpoints, bench.extent.opens
    accounts = {
        FEW: sized(bench.directory / "few", endpoints=10, users=10, ways=ways),
        MANY: sized(bench.directory / "many", endpoints=endpoints, users=endpoints, ways=ways),
    }
    with ExitStack() as stack:
        sides = [
            (side, stack.enter_context(hatchway(account, bench.target_port, {bench.core})))
            for side, account in accounts.items()
        ]
        for side, proxy in sides:
            opens_of(bench, proxy, "first opens", side)
        for side, proxy in in_turns(sides, bench.extent.rounds):
            opens_of(bench, proxy, "scale opens", side)


def workers(bench: Bench) -> None:
    """The same opens with one worker and with two, unlimited and with a share of a core for each.

    All may run on any core, as may the load. Four times as many at once: two workers must not run out of work
    while a commit is on its way to the disk.
    """
    everywhere = machine.allowed()
    mine = os.sched_getaffinity(0)
    for process in (os.getpid(), bench.target_pid):
        machine.pin(process, everywhere)
    with ExitStack() as stack:
        sides = [
            (side, stack.enter_context(_copied(bench, side, count, everywhere)))
            for count, side in enumerate((ONE_WORKER, TWO_WORKERS), 1)
        ]
        for _, proxy in sides:
            _open(bench, proxy, bench.extent.opens // 5)
        for side, proxy in in_turns(sides, bench.extent.rounds):
            opens_of(bench, proxy, "workers opens", side, times=4)
        try:
            for side, proxy in in_turns(sides, bench.extent.rounds):
                with held(proxy.carriers(), WORKER_SHARE):
                    opens_of(bench, proxy, "held opens", side, times=4)
            _check_room(bench.samples, "held opens")
        except CannotHold as problem:
            bench.samples.unmeasured["held opens /s"] = str(problem)
    for process in (os.getpid(), bench.target_pid):
        machine.pin(process, mine)


def _check_room(samples: Samples, quantity: str) -> None:
    """See that what limited the workers was not the load, nor whatever else runs here."""
    load = max(load for _, load in samples.busy[f"{quantity} /CPU s"][TWO_WORKERS])
    idle = min(samples.median(f"{quantity} idle", side) for side in (ONE_WORKER, TWO_WORKERS))
    if load > _MOST_LOAD:
        samples.unmeasured[f"{quantity} /s"] = f"the load took {load:.0%} of a core"
    elif idle < _LEAST_IDLE:
        samples.unmeasured[f"{quantity} /s"] = f"only {idle:.0%} of the cores' time was left"


@contextmanager
def _copied(bench: Bench, side: str, count: int, on: set[int]) -> Iterator[Proxy]:
    account = sized(bench.directory / side.replace(" ", "-"), endpoints=10, users=10, ways=10)
    with hatchway(account, bench.target_port, on, workers=count) as proxy:
        yield proxy
