"""Instructions in place of seconds, for a machine whose clocks say more of its neighbours than of a program.

Instructions of user mode alone: by perf(1) where the processor's counters are to be had, otherwise by
valgrind's callgrind, which runs the program on a processor of its own: slowly, and without the newest vector
instructions, so encryption takes more of them. What the kernel does stands beside it as system calls, which
perf counts in a run of their own. What a proxy does when nobody asks anything is taken off.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bench.gateway.bulk import DOWN, UP
from bench.gateway.openings import open_and_close
from bench.gateway.proxies import HAPROXY_SIDE, HATCHWAY_SIDE, gateway_alone, haproxy
from bench.gateway.tunnel import MESSAGE, Tunnel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.gateway.proxies import Proxy
    from bench.gateway.samples import Bench

    Load = Callable[[Proxy, int], Iterator[None]]
    """Its first step prepares and is not counted, its second is what is counted."""

_IDLE_SECONDS: Final = 3.0
_SETTLED_SECONDS: Final = 1.0
_TRIES: Final = 3
_INSTRUCTIONS: Final = "instructions:u"
_SYSTEM_CALLS: Final = "raw_syscalls:sys_enter"
_START: Final = {HATCHWAY_SIDE: gateway_alone, HAPROXY_SIDE: haproxy}


class CannotCount(Exception):
    """The message says why."""


class Counter(Protocol):
    """What counts while a process runs. `prefix` is what the program is started below, if anything."""

    @property
    def name(self) -> str: ...

    @property
    def prefix(self) -> tuple[str, ...]: ...

    def counted(self, pid: int, work: Callable[[], None]) -> int: ...


@dataclass(frozen=True, slots=True)
class _Row:
    what: str
    load: str
    each: str
    times: int
    run: Load


def _opening(at_once: int) -> Load:
    def run(proxy: Proxy, times: int) -> Iterator[None]:
        yield
        open_and_close(proxy, [proxy.request()] * times, at_once=at_once)
        yield

    return run


def _echo(proxy: Proxy, times: int) -> Iterator[None]:
    tunnel = Tunnel(proxy)
    tunnel.echo(64, 10)
    yield
    tunnel.echo(64, times)
    yield
    tunnel.close()


def _bulk(way: str) -> Load:
    def run(proxy: Proxy, times: int) -> Iterator[None]:
        tunnel = Tunnel(proxy)
        yield
        (tunnel.upload_at if way == UP else tunnel.download_at)(times, 0)
        yield
        tunnel.close()

    return run


ROWS: Final = (
    _Row("opening", "1 at once", "opening", 20, _opening(1)),
    _Row("opening", "4 at once", "opening", 24, _opening(4)),
    _Row("echo", "1 tunnel, 64 bytes there and back, one at a time", "round trip", 100, _echo),
    *(
        _Row(
            f"bulk {way}",
            f"1 tunnel, frames of {MESSAGE:,} bytes, encrypted and decrypted as they go, flat out",
            "byte",
            12_000_000,
            _bulk(way),
        )
        for way in (UP, DOWN)
    ),
)


class Perf:
    """An event of the kernel's or the processor's."""

    prefix = ()

    def __init__(self, event: str) -> None:
        self.event = event
        self.name = f"perf's {event}"

    def counted(self, pid: int, work: Callable[[], None]) -> int:
        """
        Raises:
            CannotCount: perf is missing, or does not count that here.
        """
        if shutil.which("perf") is None:
            raise CannotCount("perf is missing")
        command = ["perf", "stat", "-x", ",", "-e", self.event, "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as perf:
            time.sleep(0.2)
            work()
            perf.send_signal(signal.SIGINT)
            _, said = perf.communicate()
        return count_in(said, self.event)


def count_in(said: str, event: str) -> int:
    """The count of an event in what `perf stat -x ,` says.

    Raises:
        CannotCount: it has none.
    """
    for line in said.splitlines():
        value, _, rest = line.partition(",")
        if event in rest.split(","):
            if not value.isdigit():
                raise CannotCount(f"perf says of {event}: {value}")
            return int(value)
    raise CannotCount(f"perf says nothing of {event}: {said.strip()}")


class Callgrind:
    """All threads of a process that valgrind runs."""

    def __init__(self, directory: Path) -> None:
        self.name = "valgrind's callgrind"
        self._directory = directory
        self._counting: int | None = None
        self.prefix = (
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--instr-atstart=no",
            f"--callgrind-out-file={directory}/%p",
        )

    def counted(self, pid: int, work: Callable[[], None]) -> int:
        """
        Raises:
            CannotCount: it does not answer, or wrote nothing that can be read.
        """
        if self._counting != pid:
            # Once: where it has been off and on again, sums come to less than nothing.
            self._tell("--instr=on", pid)
            self._counting = pid
        self._tell("--zero", pid)
        before = set(self._directory.iterdir())
        work()
        self._tell("--dump", pid)
        new = set(self._directory.iterdir()) - before
        return sum(total_in(path.read_text()) for path in new)

    def _tell(self, what: str, pid: int) -> None:
        done = subprocess.run(
            ["callgrind_control", what, str(pid)], check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise CannotCount(f"callgrind_control {what}: {done.stdout}{done.stderr}")


def total_in(profile: str) -> int:
    """The instructions in a file of callgrind's (valgrind: "Callgrind Format Specification").

    Raises:
        CannotCount: it has no sum.
    """
    found = re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE)
    if found is None:
        raise CannotCount("callgrind wrote no sum")
    return int(found[1])


def compare(bench: Bench, rows: tuple[_Row, ...] = ROWS) -> str:
    """Count, and tell it as a table in Markdown.

    Raises:
        CannotCount: neither perf nor valgrind can.
    """
    with tempfile.TemporaryDirectory(dir=bench.directory) as directory:
        counter = _best(Path(directory))
        instructions = {side: _count(bench, side, counter, rows) for side in _START}
    calls: dict[str, list[float]] = {}
    with suppress(CannotCount):
        calls = {side: _count(bench, side, Perf(_SYSTEM_CALLS), rows) for side in _START}
    return table(counter.name, rows, instructions, calls)


def table(
    counter: str, rows: tuple[_Row, ...], instructions: dict[str, list[float]], calls: dict[str, list[float]]
) -> str:
    """Markdown."""
    heads = ["instructions", "load", *_START, "ratio", *(f"system calls: {side}" for side in _START)]
    lines = [
        f"Instructions of user mode, by {counter}.\n",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for number, row in enumerate(rows):
        ours, theirs = (instructions[side][number] for side in _START)
        cells = [
            f"{row.what}, each {row.each}",
            row.load,
            _number(ours),
            _number(theirs),
            f"{ours / theirs:.2f}",
        ]
        cells += [_number(calls[side][number]) if side in calls else "" for side in _START]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _best(directory: Path) -> Counter:
    perf = Perf(_INSTRUCTIONS)
    with _sleeping() as pid:
        try:
            perf.counted(pid, lambda: None)
        except CannotCount as problem:
            if shutil.which("valgrind") is None:
                raise CannotCount(f"{problem}; and valgrind is missing") from problem
            return Callgrind(directory)
    return perf


@contextmanager
def _sleeping() -> Iterator[int]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


def _count(bench: Bench, side: str, counter: Counter, rows: tuple[_Row, ...]) -> list[float]:
    """Of each row, by one side: what each time takes."""
    with _START[side](bench.installation, bench.target_port, {bench.core}, prefix=counter.prefix) as proxy:
        (pid,) = proxy.carriers()
        for row in rows:
            for _ in row.run(proxy, max(1, row.times // 20)):
                pass
        time.sleep(_SETTLED_SECONDS)
        idle = counter.counted(pid, lambda: time.sleep(_IDLE_SECONDS)) / _IDLE_SECONDS
        return [_each(proxy, pid, counter, row, idle) for row in rows]


def _each(proxy: Proxy, pid: int, counter: Counter, row: _Row, idle: float) -> float:
    """What each time of a row takes, less what it would take idle."""
    took = 0.0

    def work() -> None:
        nonlocal took
        began = time.perf_counter()
        next(steps)
        time.sleep(_SETTLED_SECONDS)
        took = time.perf_counter() - began

    for left in reversed(range(_TRIES)):
        steps = row.run(proxy, row.times)
        next(steps)
        try:
            counted = counter.counted(pid, work)
        except ConnectionError:
            # So slow, on a busy machine, a gateway may miss a time of its own and hang up.
            if not left:
                raise
            time.sleep(_IDLE_SECONDS)
        else:
            break
    next(steps, None)
    return (counted - idle * took) / row.times
