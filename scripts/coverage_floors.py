#!/usr/bin/env python3
"""Check that all tests together reach no less of each package than they did when its floor was recorded.

Reads what `coverage json` wrote of a run of all tests. A package's figure is the part of its statements and
of the ways out of its branches that were taken, in whole percent, rounded down: a run differs a little from
the next, since some of the code runs in processes that are killed. The floors are in coverage_floors.json;
after a change that reaches more, `--record` writes its figures there.

    scripts/coverage_floors.py REPORT [--record]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLOORS = Path(__file__).with_suffix(".json")
TOP = "modules beside the packages"


def percentages(report: Mapping[str, Any]) -> dict[str, int]:
    """Whole percent by package, from a report of coverage's JSON format."""
    taken: dict[str, int] = defaultdict(int)
    there: dict[str, int] = defaultdict(int)
    for path, file in report["files"].items():
        # src, hatchway, and the package if it is in one.
        parts = Path(path).parts
        package = parts[2] if len(parts) > 3 else TOP
        summary = file["summary"]
        taken[package] += summary["covered_lines"] + summary["covered_branches"]
        there[package] += summary["num_statements"] + summary["num_branches"]
    return {package: 100 * taken[package] // there[package] for package in sorted(there) if there[package]}


def faults(measured: Mapping[str, int], floors: Mapping[str, int]) -> list[str]:
    """What there is to mend, a line for each."""
    new = [
        f"{package}: {figure} %, and no floor is recorded"
        for package, figure in measured.items()
        if package not in floors
    ]
    gone = [f"{package}: has a floor, and is not there" for package in floors if package not in measured]
    below = [
        f"{package}: {measured[package]} %, below its floor of {floor} %"
        for package, floor in floors.items()
        if package in measured and measured[package] < floor
    ]
    return below + new + gone


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Hold each package to the coverage that it has had.")
    parser.add_argument("report", type=Path, help="what `coverage json` wrote")
    parser.add_argument("--floors", type=Path, default=FLOORS, help="the file of floors (beside this script)")
    parser.add_argument(
        "--record", action="store_true", help="take the figures of this report for the floors"
    )
    options = parser.parse_args(arguments)
    measured = percentages(json.loads(options.report.read_text()))
    if options.record:
        options.floors.write_text(f"{json.dumps(measured, indent=4)}\n")
        return 0
    found = faults(measured, json.loads(options.floors.read_text()))
    for line in found or (f"{package}: {figure} %" for package, figure in measured.items()):
        print(line, file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
