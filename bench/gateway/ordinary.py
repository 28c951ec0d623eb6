"""Rows of clients as users have them: they encrypt as they go, at a pace; few open at once; many talk."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.gateway import machine
from bench.gateway.measures import DOWN, UP, Bench, echo_into, in_turns, opens_of
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE
from bench.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.gateway.proxies import Proxy

PACES: Final = (50, 100, 200, None)
"""MB/s; None is as fast as the two can."""

AT_ONCE: Final = (1, 4, 16)
"""Openings. As many as there are in the row of openings, 48, are measured there."""

TALKING: Final = 200
"""Tunnels that talk meanwhile: each has a message of 64 bytes come back once a second."""

_OPENS_EACH: Final = 100
"""A turn has so many openings for each at once."""


def at_pace(direction: str, pace: int | None) -> str:
    """How a quantity of bulk is called."""
    return f"{direction} as it goes, {'flat out' if pace is None else f'{pace} MB/s'}"


def at_once(count: int) -> str:
    """How a quantity of openings is called."""
    return f"opens, {count} at once"


def paced(bench: Bench) -> None:
    """Bulk by clients that encrypt and decrypt as they go, in frames of 65,000 bytes, at a pace."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        turns = [(proxy, pace, way) for pace in PACES for way in (UP, DOWN) for proxy in sides]
        for proxy, pace, way in in_turns(turns, bench.extent.rounds):
            size = bench.extent.bulk // 2 if pace is None else pace * bench.extent.bulk // 1000
            tunnel = Tunnel(proxy)
            carry = tunnel.upload_at if way == UP else tunnel.download_at
            with bench.cost(proxy) as cost:
                carry(size, 0 if pace is None else pace * 1_000_000)
            tunnel.close()
            bench.samples.add_bulk(at_pace(way, pace), proxy.name, size, cost)


def few(bench: Bench) -> None:
    """Tunnels opened, greeted through and closed, one at a time and few at once."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        turns = [(proxy, count) for count in AT_ONCE for proxy in sides]
        for proxy, count in in_turns(turns, bench.extent.rounds):
            opens = min(bench.extent.opens, count * _OPENS_EACH)
            one = replace(bench, extent=replace(bench.extent, opens=opens, at_once=count))
            opens_of(one, proxy, at_once(count), proxy.name)


def talking(bench: Bench) -> None:
    """Messages of 64 bytes, one at a time, there and back, amid tunnels that talk a little."""
    load = set(os.sched_getaffinity(0))
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        for proxy in in_turns(sides, bench.extent.rounds):
            with _talk(proxy, load):
                echo_into(bench, proxy, "echo amid")


@contextmanager
def _talk(proxy: Proxy, on: set[int]) -> Iterator[None]:
    """So many tunnels that talk, by a process of their own."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_run, args=(proxy, on, there), daemon=True)
    process.start()
    try:
        here.recv()
        yield
    finally:
        process.kill()
        process.join()


def _run(proxy: Proxy, on: set[int], ready: object) -> None:
    machine.pin(os.getpid(), on)
    tunnels = [Tunnel(proxy) for _ in range(TALKING)]
    for tunnel in tunnels:
        tunnel.write(b"E")
    ready.send(None)  # type: ignore[attr-defined]
    due = time.monotonic()
    while True:
        for tunnel in tunnels:
            due += 1 / TALKING
            time.sleep(max(0.0, due - time.monotonic()))
            tunnel.write(bytes(64))
            tunnel.read(64)
