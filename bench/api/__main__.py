"""The API in a large account beside a small one, and one process beside moto's server.

    python -m bench.api [--quick] [--rows sqlite,postgresql,moto,workers,whole] [--nice N]

Exits with 1 when a promise is not kept, except with --quick, whose numbers mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys

from bench.api import beside, scale, whole, workers
from bench.api.account import Size
from bench.gateway.cpu_share import CannotHold

SMALL, LARGE = Size(1_000, 1_000, 1_000), Size(100_000, 10_000, 1_000_000)
QUICK_LARGE = Size(3_000, 2_000, 3_000)
ROWS = ("sqlite", "postgresql", "moto", "workers", "whole")
APPLIED = 10_000
PROMISED = {"apply of": 30.0, "gateway start": 5.0}
"""Seconds at most."""


def main() -> None:
    """Measure the rows and print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    arguments.add_argument("--nice", type=int, default=0, help="priority; below 0 as root only")
    given = arguments.parse_args()
    rows = given.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        arguments.error(f"no such row: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.nice(given.nice)
    large = QUICK_LARGE if given.quick else LARGE
    print(f"Python {platform.python_version()} ({platform.python_compiler()}), {os.cpu_count()} cores\n")
    broken: list[str] = []
    for backend in ("sqlite", "postgresql"):
        if backend in rows:
            broken += _scale(backend, large, 2 if given.quick else 20)
    if "moto" in rows:
        broken += _beside(0.3 if given.quick else 2.0, 1 if given.quick else 5)
    if "workers" in rows:
        _workers(0.5 if given.quick else 4.0, 1 if given.quick else 5)
    if "whole" in rows:
        for backend in ("sqlite", "postgresql"):
            broken += _whole(backend, APPLIED // 10 if given.quick else APPLIED, large)
    if broken and not given.quick:
        print(f"NOT KEPT: {'; '.join(broken)}")
        sys.exit(1)


def _scale(backend: str, large: Size, rounds: int) -> list[str]:
    print(f"| {backend} | {SMALL.instances:,} instances | {large.instances:,} | ratio |\n|---|---|---|---|")
    found = scale.measure(backend, SMALL, large, rounds=rounds)
    for row in found:
        print(f"| {row.call} | {row.small * 1000:.2f} ms | {row.large * 1000:.2f} ms | {row.ratio:.2f} |")
    print(flush=True)
    return [f"{backend}: {row.call} {row.ratio:.2f} times" for row in found if row.ratio > scale.BOUND]


def _beside(seconds: float, rounds: int) -> list[str]:
    print("| one process | Hatchway | moto | CPU a call | moto's | ratio |\n|---|---|---|---|---|---|")
    broken = []
    for name, rates in beside.measure(SMALL.instances, seconds=seconds, rounds=rounds).items():
        ours, theirs = rates
        ratio = ours.per_second / theirs.per_second
        print(
            f"| {name} | {ours.per_second:,.0f} /s | {theirs.per_second:,.0f} /s | {ours.cpu * 1000:.2f} ms"
            f" | {theirs.cpu * 1000:.2f} ms | {ratio:.1f} |"
        )
        if ratio < beside.LEAST.get(name, 1):
            broken.append(f"{name} {ratio:.2f} times moto's")
        if (more := ours.cpu / theirs.cpu) > beside.MOST_CPU:
            broken.append(f"{name} {more:.2f} times moto's CPU")
    print(flush=True)
    return broken


def _workers(seconds: float, rounds: int) -> None:
    """Nothing is promised of these: whether there is room for all on this machine is not said."""
    counts = workers.COUNTS
    print(f"| PostgreSQL, each process held to {workers.SHARE:.0%} of a core | ", end="")
    print(" | ".join(f"{count} process{'es' * (count > 1)}" for count in counts), "| ratio |")
    print("|---" * (len(counts) + 2) + "|")
    try:
        for row in workers.measure(SMALL.instances, seconds=seconds, rounds=rounds):
            rates = " | ".join(f"{row.per_second[count]:,.0f} /s" for count in counts)
            print(f"| {row.call} | {rates} | {row.per_second[counts[-1]] / row.per_second[counts[0]]:.1f} |")
    except CannotHold as problem:
        print(f"not held to a share of a core: {problem}", file=sys.stderr)
    print(flush=True)


def _whole(backend: str, applied: int, large: Size) -> list[str]:
    print(f"| whole account, {backend} | time |\n|---|---|")
    broken = []
    for name, seconds in whole.measure(backend, applied, large).items():
        print(f"| {name} | {seconds:.1f} s |")
        if any(name.startswith(what) and seconds > most for what, most in PROMISED.items()):
            broken.append(f"{backend}: {name} in {seconds:.1f} s")
    print(flush=True)
    return broken


if __name__ == "__main__":
    main()
