"""Rows of less kind circumstances: neighbours that keep all cores busy, and a plain build of Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.gateway import machine
from bench.gateway.bulk import DOWN, UP
from bench.gateway.installation import small
from bench.gateway.measures import echo_into, opens_of
from bench.gateway.ordinary import carry
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, hatchway
from bench.gateway.samples import Bench, in_turns

if TYPE_CHECKING:
    from bench.gateway.proxies import Proxy

PLAIN_SIDE: Final = "Hatchway, plain build"

PLAIN_PYTHON: Final = Path(__file__).parents[2] / ".cache/bench-plain/bin/python"
"""Of an environment that `bench/setup` makes where it finds such a Python."""

BUSY, PLAIN = "busy", "plain"

PACE: Final = 100
"""MB/s."""

OPENINGS: Final = 16
"""At once."""

_PART: Final = 4
"""A turn has this part of a row's openings and round trips."""


def bulk_in(circumstance: str, way: str) -> str:
    """How a quantity of bulk is called."""
    return f"{circumstance}, {way} as it goes, {PACE} MB/s"


def busy(bench: Bench) -> None:
    """Bulk at a pace, an echo and openings beside a neighbour on each core that computes all the time."""
    with bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides, machine.neighbours(1):
        for proxy in in_turns(sides, bench.extent.rounds):
            _some_of_each(bench, proxy, BUSY)


def plain(bench: Bench) -> None:
    """The same by Hatchway with a plain build of Python, beside Hatchway with Debian's and HAProxy."""
    if not PLAIN_PYTHON.exists():
        for quantity in _quantities(PLAIN):
            bench.samples.unmeasured[quantity] = "no plain build of Python: BENCH_PYTHON_PLAIN names one"
        return
    own = small(bench.directory / "plain")
    with (
        bench.sides(HATCHWAY_SIDE, HAPROXY_SIDE) as sides,
        hatchway(own, bench.target_port, {bench.core}, python=str(PLAIN_PYTHON)) as other,
    ):
        other.name = PLAIN_SIDE
        for proxy in in_turns([*sides, other], bench.extent.fewer_rounds):
            _some_of_each(bench, proxy, PLAIN)


def _quantities(circumstance: str) -> list[str]:
    bulk = [f"{bulk_in(circumstance, way)} CPU s/GB" for way in (UP, DOWN)]
    echo = [f"{circumstance}, echo {part} µs" for part in ("p50", "p99")]
    return [*bulk, *echo, f"{circumstance}, opens CPU ms"]


def _some_of_each(bench: Bench, proxy: Proxy, circumstance: str) -> None:
    extent = bench.extent
    less = replace(extent, trips=extent.trips // _PART, opens=extent.opens // _PART, at_once=OPENINGS)
    bench = replace(bench, extent=less)
    for way in (UP, DOWN):
        carry(bench, proxy, way, PACE, bulk_in(circumstance, way))
    echo_into(bench, proxy, f"{circumstance}, echo")
    opens_of(bench, proxy, f"{circumstance}, opens", proxy.name)
