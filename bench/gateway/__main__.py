"""The gateway beside HAProxy and websockify, as ratios measured in one run.

    python -m bench.gateway [--quick] [--rows paced,echo,…] [--idle N] [--rounds N] [--write-readme]
    python -m bench.gateway --instructions

All proxies run on one core, the clients and their target on the others, and take turns. Exits with 1 when a
promised ratio does not hold or could not be measured, except with --quick, whose numbers mean nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.gateway import instructions, machine, plot, report
from bench.gateway.conditions import Conditions
from bench.gateway.installation import small
from bench.gateway.rows import ROWS
from bench.gateway.samples import QUICK, Bench, Extent
from bench.gateway.target import target

RESULTS = Path(__file__).parent.parent / "results"


def main() -> None:
    """Measure the rows, print the table, write the results."""
    arguments = _arguments()
    given = arguments.parse_args()
    rows = given.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        arguments.error(f"no such row: {', '.join(unknown)}")
    if given.write_readme and (given.quick or set(rows) != set(ROWS)):
        arguments.error("--write-readme is for the default run: all rows, not --quick")
    extent = QUICK if given.quick else Extent()
    chosen = {"rounds": given.rounds, "idle": given.idle}
    extent = replace(extent, **{name: value for name, value in chosen.items() if value is not None})

    # However it is told to stop, what it started ends and what it set up goes.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    os.nice(given.nice)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    core, load = machine.cores()
    failed: list[str] = []
    conditions = Conditions.now(core, load, neighbours=given.neighbours, rounds=extent.rounds)
    with tempfile.TemporaryDirectory(prefix="hatchway-bench-") as directory:
        made = small(Path(directory, "account"))
        machine.pin(os.getpid(), load)
        with machine.neighbours(given.neighbours), target(load) as (port, pid):
            bench = Bench(Path(directory), made, port, pid, core, extent, not given.no_profile)
            if given.instructions:
                print(instructions.compare(bench))
                return
            for number, row in enumerate(rows, 1):
                what = " ".join((ROWS[row].__doc__ or "").partition("\n\n")[0].split())
                _say(f"{conditions.elapsed}  {number} of {len(rows)}  {row}: {what}")
                try:
                    ROWS[row](bench)
                except (Exception, SystemExit) as problem:
                    # A number is of whoever has this stopped, a text of what would not start.
                    if isinstance(problem, SystemExit) and isinstance(problem.code, int):
                        raise
                    _say(f"{row} ended early: {problem}")
                    failed.append(row)
    _say(f"{conditions.elapsed}  done")
    samples = bench.samples
    if failed and set(rows) == set(ROWS):
        report.note_unmeasured(samples, f"ended early: {', '.join(failed)}")
    results = report.as_json(samples, conditions.told())
    print(report.section(results))
    report.write(results, given.results / "gateway.json")
    plot.draw(samples, given.results / "gateway.png", results["machine"])
    if given.write_readme:
        report.write(results, report.DEFAULT)
        report.write_readme()
    if failed:
        sys.exit(f"ended early: {', '.join(failed)}")
    if (broken := report.broken(samples)) and not given.quick:
        print("NOT KEPT:\n" + "\n".join(f"- {one}" for one in broken))
        sys.exit(1)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--quick", action="store_true", help="see that it works; the numbers mean nothing")
    arguments.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}")
    arguments.add_argument(
        "--instructions",
        action="store_true",
        help="count instructions and system calls of openings, echo and bulk, and nothing else",
    )
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
    arguments.add_argument(
        "--write-readme",
        action="store_true",
        help="quote what came on the pages of benchmarks, and write bench/results/default.json",
    )
    return arguments


if __name__ == "__main__":
    main()
