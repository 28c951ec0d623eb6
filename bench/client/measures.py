"""What is measured. The clients take turns; medians count."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from bench.client.throughput import flow, median
from bench.client.world import BANNER, World, running

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

Measured = TypeVar("Measured")

PARTS = ("near", "ssh", "far", "throughput")

_CPU_BOUNDS = {"down": 1 / 3, "up": 1 / 2}
"""Of the client's CPU for each GB, in each direction."""

_RATE_BOUND = 3.0
"""Of the bytes a second."""

_LINK = 0.150
"""Seconds each way: a round trip takes 300 ms."""


@dataclass(frozen=True)
class Row:
    """`bound`: the ratio of hatchway to the AWS CLI is at most this, or with `at_least` not less.

    `meanwhile`: what else there is to tell, of hatchway and of the AWS CLI.
    """

    what: str
    unit: str
    ours: float
    theirs: float
    bound: float
    digits: int = 0
    meanwhile: str = ""
    at_least: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def kept(self) -> bool:
        return self.ratio >= self.bound if self.at_least else self.ratio <= self.bound

    def __str__(self) -> str:
        promised = f"{'≥' if self.at_least else '≤'} {self.bound:.3g}"
        ours, theirs = (f"{value:,.{self.digits}f} {self.unit}" for value in (self.ours, self.theirs))
        kept = "yes" if self.kept else "NO"
        return (
            f"| {self.what} | {ours} | {theirs} | {self.ratio:.3f} | {promised} | {kept} | {self.meanwhile} |"
        )


_ADDED = 150.0
"""Milliseconds, on a machine that has nothing else to do (see bench/client/README.md)."""


@dataclass(frozen=True)
class Added:
    """What a way costs beside ssh's own: at most `bound` milliseconds more."""

    what: str
    ours: float
    without: float
    bound: float

    @property
    def kept(self) -> bool:
        return self.ours - self.without <= self.bound

    def __str__(self) -> str:
        numbers = (
            f"{self.ours:,.0f} ms | ssh alone: {self.without:,.0f} ms | + {self.ours - self.without:,.0f} ms"
        )
        return f"| {self.what} | {numbers} | ≤ + {self.bound:.0f} ms | {'yes' if self.kept else 'NO'} | |"


def measure(world: World, parts: Collection[str], *, rounds: int, megabytes: int) -> list[Row | Added]:
    """The rows of these parts."""
    few = max(2, rounds // 3)
    rows: list[Row | Added] = []
    if "near" in parts:
        near = _turns(world.commands(), rounds, lambda command: _first_byte(world, command) * 1000)
        rows.append(Row("from exec to the banner's first byte, near", "ms", *near, 1 / 8))
    if "ssh" in parts:
        times = _medians(world.ssh_commands(), rounds, lambda command: _whole(world, command) * 1000)
        direct = times.pop("direct")
        rows += [
            Added(f"`ssh HOST true` near, by {way}", took, direct, _ADDED) for way, took in times.items()
        ]
    if "far" in parts:
        rows += _far(world, few)
    if "throughput" in parts:
        rows += _throughput(world, few, megabytes)
    return rows


def _far(world: World, rounds: int) -> list[Row]:
    rows = []
    world.delay = _LINK
    ways: dict[str, tuple[Callable[[], None], float]] = {
        # Six round trips in any case, where the AWS CLI has seven and its program.
        "for the first time ever": (world.forget, 0.7),
        "for the first time to a host": (world.forget_host, 1 / 2),
        "for the first time in a minute": (world.age, 1 / 2),
        "again": (lambda: None, 1 / 2),
    }
    for when, (before, bound) in ways.items():
        far = _turns(
            world.commands(),
            rounds,
            lambda command, before=before: _first_byte(world, command, before) * 1000,  # type: ignore[misc]
        )
        rows.append(Row(f"on a link of 300 ms, {when}", "ms", *far, bound))
    world.delay = 0.0
    return rows


def _throughput(world: World, rounds: int, megabytes: int) -> list[Row]:
    rows = []
    for connections in (1, 64):
        for direction in ("down", "up"):
            carried = partial(flow, world, direction=direction, connections=connections, megabytes=megabytes)
            flows = _in_turns(world.commands(connections), rounds, carried)
            ours, theirs = median(flows["hatchway"]), median(flows["aws"])
            what = f"{direction} by --local-port, {connections} connection{'s' if connections > 1 else ''}"
            busy = f"{ours.busy}; {theirs.busy}"
            rates = (ours.rate, theirs.rate)
            rows.append(Row(what, "MB/s", *rates, _RATE_BOUND, meanwhile=busy, at_least=True))
            spent = f"all together {ours.total:.2f}; {theirs.total:.2f}"
            bound = _CPU_BOUNDS[direction]
            costs = (ours.client, theirs.client)
            rows.append(Row(f"the client's CPU, {what}", "s/GB", *costs, bound, digits=2, meanwhile=spent))
    return rows


def _turns(
    commands: dict[str, list[str]], rounds: int, measured: Callable[[list[str]], float]
) -> tuple[float, float]:
    found = _medians(commands, rounds, measured)
    return found["hatchway"], found["aws"]


def _medians(
    commands: dict[str, list[str]], rounds: int, measured: Callable[[list[str]], float]
) -> dict[str, float]:
    return {name: statistics.median(took) for name, took in _in_turns(commands, rounds, measured).items()}


def _in_turns(
    commands: dict[str, list[str]], rounds: int, measured: Callable[[list[str]], Measured]
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(measured(command))
    return found


def _whole(world: World, command: list[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, env=world.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr}")
    return took


def _first_byte(world: World, command: list[str], before: Callable[[], None] = lambda: None) -> float:
    if command[0] != str(world.aws):
        before()
    began = time.perf_counter()
    with running(world, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        data = os.read(process.stdout.fileno(), len(BANNER))
        took = time.perf_counter() - began
    if data[:3] != BANNER[:3]:
        raise RuntimeError(f"{command[0]} opened no tunnel: {data!r}")
    return took
