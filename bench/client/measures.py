"""What is measured. The clients take turns; medians count."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.client.world import BANNER, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_START_SECONDS = 60.0
_LINK = 0.150
"""Seconds each way: a round trip takes 300 ms."""


@dataclass(frozen=True)
class Row:
    """`bound`: the ratio of hatchway to the AWS CLI is at most this; at least, where more is better."""

    what: str
    unit: str
    ours: float
    theirs: float
    bound: float
    more_is_better: bool = False

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def kept(self) -> bool:
        return self.ratio >= self.bound if self.more_is_better else self.ratio <= self.bound

    def __str__(self) -> str:
        promised = f"{'≥' if self.more_is_better else '≤'} {self.bound:.3g}"
        numbers = f"{self.ours:,.0f} {self.unit} | {self.theirs:,.0f} {self.unit} | {self.ratio:.3f}"
        return f"| {self.what} | {numbers} | {promised} | {'yes' if self.kept else 'NO'} |"


@dataclass(frozen=True)
class Added:
    """What a way costs beside ssh's own: at most `bound` milliseconds more."""

    what: str
    ours: float
    without: float
    bound: float = 150

    @property
    def kept(self) -> bool:
        return self.ours - self.without <= self.bound

    def __str__(self) -> str:
        numbers = (
            f"{self.ours:,.0f} ms | ssh alone: {self.without:,.0f} ms | + {self.ours - self.without:,.0f} ms"
        )
        return f"| {self.what} | {numbers} | ≤ + {self.bound:.0f} ms | {'yes' if self.kept else 'NO'} |"


def measure(world: World, *, rounds: int, megabytes: int) -> list[Row | Added]:
    """All rows."""
    rows: list[Row | Added] = []
    near = _turns(world.commands(), rounds, lambda command: _first_byte(world, command) * 1000)
    rows.append(Row("from exec to the banner's first byte, near", "ms", *near, 1 / 8))
    times = _medians(world.ssh_commands(), rounds, lambda command: _whole(world, command) * 1000)
    direct = times.pop("direct")
    rows += [Added(f"`ssh HOST true` near, by {way}", took, direct) for way, took in times.items()]
    world.delay = _LINK
    few = max(2, rounds // 3)
    ways: dict[str, tuple[Callable[[], None], float]] = {
        "for the first time ever": (world.forget, 2 / 3),
        "for the first time in a minute": (world.age, 1 / 2),
        "again": (lambda: None, 1 / 2),
    }
    for when, (before, bound) in ways.items():
        far = _turns(
            world.commands(),
            few,
            lambda command, before=before: _first_byte(world, command, before) * 1000,  # type: ignore[misc]
        )
        rows.append(Row(f"on a link of 300 ms, {when}", "ms", *far, bound))
    world.delay = 0.0
    for connections in (1, 64):
        speed = _turns(
            world.commands(),
            max(2, rounds // 3),
            lambda command, n=connections: _throughput(world, command, n, megabytes),  # type: ignore[misc]
        )
        rows.append(
            Row(f"down by --local-port, {connections} connections", "MB/s", *speed, 3, more_is_better=True)
        )
    return rows


def _turns(
    commands: dict[str, list[str]], rounds: int, measured: Callable[[list[str]], float]
) -> tuple[float, float]:
    found = _medians(commands, rounds, measured)
    return found["hatchway"], found["aws"]


def _medians(
    commands: dict[str, list[str]], rounds: int, measured: Callable[[list[str]], float]
) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(measured(command))
    return {name: statistics.median(took) for name, took in found.items()}


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
    with _running(world, command) as process:
        assert process.stdout is not None
        data = os.read(process.stdout.fileno(), len(BANNER))
        took = time.perf_counter() - began
    if data[:3] != BANNER[:3]:
        raise RuntimeError(f"{command[0]} opened no tunnel: {data!r}")
    return took


def _throughput(world: World, command: list[str], connections: int, megabytes: int) -> float:
    each = megabytes * 1_000_000 // connections
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _running(world, [*command, "--local-port", str(port)]) as process:
        assert process.stdout is not None
        # Whatever it has to say must not fill the pipe.
        threading.Thread(target=process.stdout.read, daemon=True).start()
        socks = [_connect(port) for _ in range(connections)]
        for sock in socks:
            sock.recv(len(BANNER), socket.MSG_WAITALL)
        taken: list[int] = []
        began = time.perf_counter()
        takers = [threading.Thread(target=_take, args=(sock, each, taken)) for sock in socks]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        took = time.perf_counter() - began
        for sock in socks:
            sock.close()
    # A tunnel that ended in the middle counts with what came through it.
    return sum(taken) / took / 1e6


def _take(sock: socket.socket, size: int, taken: list[int]) -> None:
    sock.sendall(size.to_bytes(8, "big"))
    nowhere = bytearray(1 << 18)
    while size > 0:
        got = sock.recv_into(nowhere)
        if not got:
            return
        size -= got
        taken.append(got)


@contextmanager
def _running(world: World, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command,
        env=world.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _connect(port: int) -> socket.socket:
    """A client takes its time until it listens."""
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
