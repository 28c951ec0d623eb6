"""What the kernel tells of processes, and which cores they run on."""

from __future__ import annotations

import multiprocessing
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TICKS = os.sysconf("SC_CLK_TCK")
_CPUCLOCK_SCHED = 2
_ALLOWED = frozenset(os.sched_getaffinity(0))


def allowed() -> set[int]:
    """The cores that this bench was started on."""
    return set(_ALLOWED)


def cores() -> tuple[int, set[int]]:
    """The core of the proxies, and the cores of the load: never the same ones when there are two."""
    first, *others = sorted(_ALLOWED)
    return first, set(others) or {first}


def pin(pid: int, to: set[int]) -> None:
    """Keep a process, its threads and whatever it starts on these cores."""
    for process in tree(pid):
        for thread in Path(f"/proc/{process}/task").iterdir():
            os.sched_setaffinity(int(thread.name), to)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes on each core that have work all the time, on more memory than its cache holds."""
    forking = multiprocessing.get_context("fork")
    running = [
        forking.Process(target=_busy, args=(core,), daemon=True) for core in _ALLOWED for _ in range(count)
    ]
    for process in running:
        process.start()
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.join()


def _busy(core: int) -> None:
    os.sched_setaffinity(0, {core})
    memory = bytearray(8 << 20)
    while True:
        memory[:] = memory[::-1]
        sum(range(10_000))


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            continue
    return found


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def cpu_seconds(pids: list[int]) -> float:
    """User and system time that these processes have had."""
    total = 0.0
    for pid in pids:
        # It is the process's clock, which clock_getcpuclockid(3) gives, as the kernel numbers them.
        with suppress(OSError):
            total += time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)
    return total


def idle_seconds() -> float:
    """Time in which the cores that this bench was started on had nothing to do, or waited for the disk."""
    names = {f"cpu{core}" for core in _ALLOWED}
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in names:
            total += int(ticks[3]) + int(ticks[4])
    return total / _TICKS


def resident_bytes(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total
