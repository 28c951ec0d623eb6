"""All targets, or those named, each for as long as the others: `python -m fuzz [TARGET…]`."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuzz.targets import NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).parents[1]
_KEPT: Final = Path(".cache/fuzz")
_START_AND_END: Final = 120
"""Seconds that a target has besides its own: to be imported, and to end."""
_SHOWN: Final = 25
"""Lines of what a target that failed has printed."""


@dataclass(frozen=True)
class Run:
    """What came of one target; `finding` is the input that failed, or None when nothing did."""

    target: str
    inputs: int
    corpus: int
    finding: str | None
    printed: str


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=f"Targets: {', '.join(NAMES)}")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="targets at a time (2)")
    given = parser.parse_args(arguments)
    for name in given.targets:
        if name not in NAMES:
            parser.error(f"there is no target {name}: choose from {', '.join(NAMES)}")
    os.chdir(_ROOT)
    names = given.targets or NAMES
    failed = []
    print(f"{len(names)} targets, {given.seconds} s each, {given.jobs} at a time", flush=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        for run in pool.map(lambda name: _run(name, given.seconds), names):
            outcome = "held" if run.finding is None else "FAILED"
            print(f"{run.target:18} {run.inputs:10,} inputs  {run.corpus:6,} kept  {outcome}", flush=True)
            if run.finding is not None:
                failed.append(run)
    for run in failed:
        again = f"{Path(sys.executable)} -m fuzz.one {run.target} {run.finding}"
        print(f"\n--- {run.target} ---\n{run.printed}\nAgain: {again}")
    return 1 if failed else 0


def _run(target: str, seconds: int) -> Run:
    corpus, findings = _KEPT / "corpus" / target, _KEPT / "findings"
    for directory in (corpus, findings):
        directory.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "fuzz.one", target, "--seconds", str(seconds), "--corpus", str(corpus),
        "--findings", str(findings),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + _START_AND_END,
            check=False,
        )
        printed, status = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as expired:
        printed, status = f"{(expired.stdout or b'').decode(errors='replace')}\nit did not end", 1
    inputs = re.search(r"stat::number_of_executed_units: (\d+)", printed)
    written = re.search(r"Test unit written to (\S+)", printed)
    kept = sum(1 for _ in corpus.iterdir())
    lines = "\n".join(line for line in printed.splitlines() if not line.startswith(("INFO", "#", "stat::")))
    return Run(
        target,
        int(inputs[1]) if inputs else 0,
        kept,
        None if status == 0 else written[1] if written else "",
        "\n".join(lines.splitlines()[-_SHOWN:]),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
