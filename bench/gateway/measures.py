"""Rows of echoes, openings and memory: what is done to each side, in turns, and what comes of it."""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bench.gateway import machine
from bench.gateway.cpu_share import CannotHold, held
from bench.gateway.installation import sized
from bench.gateway.openings import Openings, open_and_close, open_and_keep
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, Proxy, hatchway
from bench.gateway.samples import Bench, Samples, in_turns
from bench.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

ONE_WORKER, TWO_WORKERS = "one worker", "two workers"
FEW, MANY = "10 endpoints", "many endpoints"
WORKER_SHARE = 0.4
"""Of a core: what each worker has where they are held to a share."""

_MOST_LOAD = 0.75
"""Of a core: with more the load, which is one thread, may be what limits workers, and not their share."""

_LEAST_IDLE = 0.25
"""Of all cores: with less left over, whatever else runs there may be what limits them."""


def echo(bench: Bench) -> None:
    """Messages of 64 bytes, one at a time, there and back."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        # A turn takes a second, and what else the machine does decides on its slowest trips.
        for proxy in in_turns(sides, 2 * bench.extent.rounds):
            echo_into(bench, proxy, "echo")
        for proxy in sides:
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
        for side, proxy in in_turns(sides, bench.extent.fewer_rounds):
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
        for side, proxy in in_turns(sides, bench.extent.fewer_rounds):
            opens_of(bench, proxy, "workers opens", side, times=4)
        try:
            for side, proxy in in_turns(sides, bench.extent.fewer_rounds):
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
