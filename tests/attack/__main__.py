"""Attacks on a running server, one after the other: `python -m tests.attack [FAMILY | TRIAL]…`.

Everything stays on loopback, and is bounded in connections and time.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.attack.families import FAMILIES
from tests.attack.site import running
from tests.attack.trial import Outcome, Results, as_markdown, put_into, put_rows_into

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack")
    parser.add_argument("names", nargs="*", metavar="NAME", help="families or trials; all when none is given")
    parser.add_argument("--list", action="store_true", help="name them, and try nothing")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the results into this Markdown file")
    given = parser.parse_args(arguments)
    known = {name for family in FAMILIES for name in (family.name, *(trial.name for trial in family.trials))}
    for name in given.names:
        if name not in known:
            parser.error(f"there is no family and no trial {name}: see --list")
    if given.list:
        for family in FAMILIES:
            print(f"{family.name}: {', '.join(trial.name for trial in family.trials)}")
        return 0
    # Whoever ends it gets servers and directories taken away all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _more_files()
    results = run(given.names)
    if given.write is not None:
        if given.names:
            put_rows_into(given.write, results)
        else:
            put_into(given.write, as_markdown(results))
    failed = [trial.name for _, trial, outcome in results if outcome.held is False]
    held = sum(1 for _, _, outcome in results if outcome.held)
    print(f"{held} of {len(results)} held" + (f"; not: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def run(names: Sequence[str]) -> Results:
    """Try what is named, or all; told as it goes."""
    results: Results = []
    for family in FAMILIES:
        trials = [t for t in family.trials if not names or family.name in names or t.name in names]
        if not trials:
            continue
        print(f"\n{family.attacker}", flush=True)
        with running(family.options, family.variables) as site:
            for trial in trials:
                began = time.monotonic()
                try:
                    outcome = trial.run(site)
                except Exception as problem:
                    traceback.print_exc()
                    outcome = Outcome(False, f"{type(problem).__name__}: {str(problem)[:200]}")
                word = {True: "held", False: "DID NOT HOLD", None: "not tried"}[outcome.held]
                seconds = time.monotonic() - began
                print(f"  {word:12} {trial.name:28} {outcome.measured}  ({seconds:.0f} s)", flush=True)
                results.append((family, trial, outcome))
    return results


def _more_files() -> None:
    """Let this process, the attacker, have as many connections as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
