"""The gateway beside HAProxy and websockify, as ratios measured in one run.

    python -m bench.gateway [--quick] [--rows throughput,echo,…] [--idle N] [--rounds N]

All proxies run on one core, the clients and their target on the others, and take turns. Exits with 1 when a
promised ratio does not hold or could not be measured, except with --quick, whose numbers mean nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench.gateway import machine, report
from bench.gateway.installation import small
from bench.gateway.measures import QUICK, Bench, Extent
from bench.gateway.rows import ROWS
from bench.gateway.target import target

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    """Measure the rows, print the table, write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    arguments.add_argument("--rounds", type=int, help="how often everything is measured")
    arguments.add_argument("--idle", type=int, help="idle tunnels for the memory row")
    arguments.add_argument(
        "--nice", type=int, default=0, help="priority of all that runs; below 0 as root only"
    )
    arguments.add_argument(
        "--neighbours",
        type=int,
        default=0,
        help="processes on each core that compute and move memory meanwhile",
    )
    arguments.add_argument("--no-profile", action="store_true", help="do not run perf")
    arguments.add_argument("--results", type=Path, default=RESULTS, help="where the PNG and the JSON go")
    given = arguments.parse_args()
    rows = given.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        arguments.error(f"no such row: {', '.join(unknown)}")
    extent = QUICK if given.quick else Extent()
    chosen = {"rounds": given.rounds, "idle": given.idle}
    extent = replace(extent, **{name: value for name, value in chosen.items() if value is not None})

    # However it is told to stop, what it started ends and what it set up goes.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.nice(given.nice)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    core, load = machine.cores()
    with tempfile.TemporaryDirectory(prefix="hatchway-bench-") as directory:
        made = small(Path(directory, "account"))
        machine.pin(os.getpid(), load)
        with machine.neighbours(given.neighbours), target(load) as (port, pid):
            bench = Bench(Path(directory), made, port, pid, core, extent, not given.no_profile)
            for row in rows:
                print(f"{row}: {' '.join((ROWS[row].__doc__ or '').split())}", file=sys.stderr, flush=True)
                ROWS[row](bench)
    samples = bench.samples
    print(report.table(samples))
    print(f"\n{report.profiles(samples)}")
    measured_on = {
        **_machine(),
        "priority": str(os.getpriority(os.PRIO_PROCESS, 0)),
        "neighbours": str(given.neighbours),
        "rounds": str(extent.rounds),
    }
    print("\n" + "; ".join(f"{name}: {value}" for name, value in measured_on.items()))
    report.write(samples, given.results, measured_on)
    if (broken := report.broken(samples)) and not given.quick:
        print(f"\nNOT KEPT: {'; '.join(broken)}")
        sys.exit(1)


def _machine() -> dict[str, str]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": f"{len(machine.allowed())} cores of {names[0] if names else platform.machine()}",
        "kernel": platform.release(),
        "python": f"{platform.python_version()} of {sys.base_prefix}, {platform.python_compiler()}",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


if __name__ == "__main__":
    main()
