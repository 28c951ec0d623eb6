"""`hatchway` beside the AWS CLI: how soon a tunnel is there, near and far, and how much goes through it.

    python -m bench.client --aws PATH [--quick] [--rounds N] [--rows near,throughput]

In a network and a view of the file system of its own, so as root. Exits with 1 when a promised ratio does not
hold, except with --quick, whose numbers mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.client import measures
from bench.client.world import World

_INSIDE = "HATCHWAY_BENCH_INSIDE"


def main() -> None:
    """Measure, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--aws", type=Path, required=True, help="the AWS CLI 2")
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--rounds", type=int, default=9, help="how often everything is measured")
    every = ",".join(measures.PARTS)
    arguments.add_argument("--rows", default=every, help=f"what is measured, {every} if not told otherwise")
    given = arguments.parse_args()
    parts = given.rows.split(",")
    if not set(parts) <= set(measures.PARTS):
        arguments.error(f"--rows takes {every}")
    if os.environ.get(_INSIDE) is None:
        if os.geteuid() != 0:
            arguments.error("needs root, for a network of its own")
        alone = [
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            "-m",
            "bench.client",
        ]
        sys.exit(subprocess.call([*alone, *sys.argv[1:]], env={**os.environ, _INSIDE: "1"}))
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    rounds = 2 if given.quick else given.rounds
    with (
        tempfile.TemporaryDirectory(prefix="hatchway-bench-") as directory,
        World(Path(directory), given.aws) as world,
    ):
        rows = measures.measure(world, parts, rounds=rounds, megabytes=32 if given.quick else 1024)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {rounds} rounds, medians\n")
    print("| measure | hatchway | AWS CLI | ratio | promised | kept | with each |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(row)
    if any(not row.kept for row in rows) and not given.quick:
        sys.exit(1)


if __name__ == "__main__":
    main()
