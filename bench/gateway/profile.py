"""Where a process spends its time, by perf(1): the share of each library and of the kernel."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERTZ = 499
_LEAST = 3.0
"""Percent below which a share is not told."""

_NAMES = {
    "[kernel.kallsyms]": "kernel",
    "[kernel]": "kernel",
    "libcrypto.so": "OpenSSL",
    "libssl.so": "OpenSSL",
    "loop.cpython": "uvloop",
    "picows": "picows",
    "python3": "Python",
    "libpython3": "Python",
    "_ssl.cpython": "Python's ssl",
    "libsqlite3": "SQLite",
    "_sqlite3": "SQLite",
    "libc.so": "C library",
    "ld-linux": "C library",
    "[vdso]": "C library",
    "haproxy": "HAProxy",
}


@contextmanager
def shares(pids: list[int], wanted: bool) -> Iterator[list[str]]:
    """The shares while the block ran, in the list when it is over; none where perf may not run."""
    told: list[str] = []
    if not wanted or shutil.which("perf") is None:
        yield told
        return
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory, "perf.data"))
        command = ["perf", "record", "-q", "-F", str(_HERTZ), "-o", path, "-p", ",".join(map(str, pids))]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as perf:
            yield told
            perf.terminate()
        command = ["perf", "report", "-q", "-i", path, "--sort", "dso", "--stdio"]
        report = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    found: defaultdict[str, float] = defaultdict(float)
    for line in report.splitlines():
        percent, _, library = line.strip().partition("%")
        if library:
            found[_name(library.strip())] += float(percent)
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    told += [f"{name} {share:.0f} %" for name, share in ranked if share >= _LEAST]


def _name(library: str) -> str:
    return next((name for part, name in _NAMES.items() if library.startswith(part)), library)
