"""Rows of clients as users have them: they encrypt as they go, at a pace; few open at once; many talk."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.gateway import cipher, machine
from bench.gateway.bulk import DOWN, UP
from bench.gateway.commits import COMMITS_SIDE, cpu_seconds, events_of_a_tunnel
from bench.gateway.installation import small
from bench.gateway.measures import echo_into, opens_of
from bench.gateway.openings import open_and_close
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE
from bench.gateway.samples import PRICE, Bench, in_turns
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

BESIDE_COMMITS: Final = (1, 4)
"""Openings at once, when few pieces come to a commit: there the store's own commits are measured too."""

_OPENS_EACH: Final = 100
"""A turn has so many openings for each at once."""

_CLOSED_SECONDS: Final = 0.5
"""After which the ends of tunnels are entered, too."""


def at_pace(direction: str, pace: int | None) -> str:
    """How a quantity of bulk is called."""
    return f"{direction} as it goes, {'flat out' if pace is None else f'{pace} MB/s'}"


def at_once(count: int) -> str:
    """How a quantity of openings is called."""
    return f"opens, {count} at once"


def beyond(count: int) -> str:
    """How what an opening takes beyond the store's own commits is called."""
    return f"{at_once(count)}, beyond the store's commits"


def encryption(direction: str) -> str:
    """How bulk beside its encryption alone is called."""
    return f"{direction} as it goes, flat out, beside encryption {PRICE}"


def paced(bench: Bench) -> None:
    """Bulk by clients that encrypt and decrypt as they go, in frames of 65,000 bytes, at a pace."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        negotiated = {_suite(side) for side in sides}
        if negotiated != {cipher.SUITES[0]}:
            raise AssertionError(f"not the same TLS everywhere, or another than rows name: {negotiated}")
        turns = [(proxy, pace, way) for pace in PACES for way in (UP, DOWN) for proxy in sides]
        for number, (proxy, pace, way) in enumerate(in_turns(turns, bench.extent.rounds)):
            carry(bench, proxy, way, pace, at_pace(way, pace))
            if number % len(turns) == 0:
                _encrypt(bench)
    for way in (UP, DOWN):
        for proxy in sides:
            bench.samples.copy(f"{at_pace(way, None)} {PRICE}", proxy.name, encryption(way))


def carry(bench: Bench, proxy: Proxy, way: str, pace: int | None, quantity: str) -> None:
    """One turn of bulk at a pace, a second long, or of half of a row's bulk as fast as the two can."""
    size = bench.extent.bulk // 2 if pace is None else pace * bench.extent.bulk // 1000
    tunnel = Tunnel(proxy)
    carry_all = tunnel.upload_at if way == UP else tunnel.download_at
    with bench.cost(proxy) as cost:
        carry_all(size, 0 if pace is None else pace * 1_000_000)
    tunnel.close()
    bench.samples.add_bulk(quantity, proxy.name, size, cost)


def _suite(proxy: Proxy) -> str:
    tunnel = Tunnel(proxy)
    tunnel.close()
    return tunnel.suite


def _encrypt(bench: Bench) -> None:
    """What encryption alone takes of the proxies' core."""
    for name in (cipher.AES_128, cipher.AES_256):
        try:
            seconds = cipher.seconds_per_gb(name, bench.core)
        except cipher.CannotTell as problem:
            for way in (UP, DOWN):
                bench.samples.unmeasured[encryption(way)] = str(problem)
        else:
            for way in (UP, DOWN):
                bench.samples.add(encryption(way), cipher.openssl_side(name), seconds)


def few(bench: Bench) -> None:
    """Tunnels opened, greeted through and closed, few at once; and the store's own commits of as many."""
    # The same store code on a store of its own, so that neither waits for the other.
    own_store = small(bench.directory / "commits").directory.store_url
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        gateway = sides[0]
        open_and_close(gateway, [gateway.request()] * 20, at_once=4)
        time.sleep(_CLOSED_SECONDS)
        events = events_of_a_tunnel(bench.installation.directory.store_url)
        turns = [(proxy, count) for count in AT_ONCE for proxy in (*sides, None)]
        for proxy, count in in_turns(turns, bench.extent.rounds):
            opens = min(bench.extent.opens, count * _OPENS_EACH)
            if proxy is not None:
                one = replace(bench, extent=replace(bench.extent, opens=opens, at_once=count))
                opens_of(one, proxy, at_once(count), proxy.name)
            elif count in BESIDE_COMMITS:
                pace = bench.samples.values[f"{at_once(count)} /s"][HATCHWAY_SIDE][-1]
                took = cpu_seconds(own_store, events, opens, at_once=count, pace=pace, on={bench.core})
                bench.samples.add(f"{at_once(count)} CPU ms", COMMITS_SIDE, took / opens * 1e3)
    for count in BESIDE_COMMITS:
        _take_commits_off(bench, count)


def _take_commits_off(bench: Bench, count: int) -> None:
    """Round by round: what else there was to the machine in a round falls on both."""
    samples, quantity = bench.samples, f"{at_once(count)} CPU ms"
    of = samples.values[quantity]
    for opening, commits in zip(of[HATCHWAY_SIDE], of[COMMITS_SIDE], strict=True):
        samples.add(f"{beyond(count)} CPU ms", HATCHWAY_SIDE, opening - commits)
    samples.copy(quantity, HAPROXY_SIDE, f"{beyond(count)} CPU ms")


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
