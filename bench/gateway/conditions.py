"""Under what a run was made. It names no path of the machine's: results are committed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway import cipher, machine
from bench.gateway.circumstances import PLAIN_PYTHON


@dataclass(frozen=True, slots=True)
class Conditions:
    """What there was when it began."""

    pinning: str
    neighbours: int
    rounds: int
    load: str
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def now(cls, core: int, load: set[int], *, neighbours: int, rounds: int) -> Conditions:
        """To be called before anything runs."""
        others = ", ".join(map(str, sorted(load)))
        pinning = f"proxies on core {core}, clients and target on core {others}"
        return cls(pinning, neighbours, rounds, _load())

    @property
    def elapsed(self) -> str:
        """Minutes and seconds since."""
        minutes, seconds = divmod(round(time.monotonic() - self.began), 60)
        return f"{minutes}:{seconds:02}"

    def told(self) -> dict[str, str]:
        """All of it, once it is over."""
        return {
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "processor": _processor(),
            "kernel": platform.release(),
            "Python": _python(),
            "core": _core(),
            "TLS": f"{cipher.SUITES[0]} in all rows",
            "plain build": _plain_python(),
            "pinning": self.pinning,
            "priority": f"nice {os.getpriority(os.PRIO_PROCESS, 0)}",
            "neighbours": str(self.neighbours or "none but in rows that say so"),
            "rounds": f"{self.rounds}",
            "load average": f"{self.load} before, {_load()} after",
            "took": f"{self.elapsed} minutes",
        }


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{len(machine.allowed())} cores of {names[0] if names else platform.machine()}"


def _python() -> str:
    version, compiler = platform.python_version(), platform.python_compiler()
    if sys.base_prefix == "/usr":
        return f"Debian's {version}, {compiler}"
    optimized = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    return f"{'an optimized' if optimized else 'a plain'} build of {version}, {compiler}"


def _core() -> str:
    return "compiled" if cipher.IS_COMPILED else "Python's"


def _plain_python() -> str:
    if not PLAIN_PYTHON.exists():
        return "none"
    said = subprocess.run([PLAIN_PYTHON, "-V"], check=True, capture_output=True, text=True).stdout
    return said.removeprefix("Python ").strip()
