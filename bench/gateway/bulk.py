"""Rows of bulk through tunnels that flatters: encrypted before the clock starts, counted and not decrypted.

So what the load costs does not decide, and a proxy gets as much at once as it can take; clients as users have
them send less at once, and cost it more (`ordinary`).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bench.gateway.floods import FLOODS, SETTLED, WARM_UP, flood
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, WEBSOCKIFY_SIDE
from bench.gateway.samples import BULK_UNITS, Bench, Cost, in_turns
from bench.gateway.tunnel import Tunnel

if TYPE_CHECKING:
    from bench.gateway.proxies import Proxy

UP, DOWN = "up", "down"
ALONE = "alone"

_FLOOD_TURNS: Final = {HATCHWAY_SIDE: 6, HAPROXY_SIDE: 3}
"""Pairs of turns a round: one differs from the next by a tenth or two without any flood."""

_FLOOD_PART: Final = 8
"""A turn's bulk is this part of a row's."""


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
        for proxy in in_turns(sides, bench.extent.fewer_rounds):
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
    short = replace(bench, extent=replace(bench.extent, bulk=bench.extent.bulk // _FLOOD_PART))
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides:
        turns = [(proxy, name) for name in FLOODS for proxy in sides]
        for proxy, name in in_turns(turns, max(1, bench.extent.rounds // 4)):
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
