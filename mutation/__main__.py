"""Mutation testing: `python -m mutation [PACKAGE|MODULE…]`, such as `iam` or `keys/vault.py`.

A mutant that no test of its module notices is a survivor. survivors.toml holds those that are known, each
with its reason; any other fails, and so does an entry that a test kills by now or whose code is no more.
Without arguments, the modules are tried that it lists as done.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.own_tests import Module, Project, find_modules

from mutation.run import Outcome, in_a_fork, run
from mutation.survivors import Change, done, faults, read_known

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT: Final = Path(__file__).parents[1]
_KNOWN: Final = Path(__file__).with_name("survivors.toml")


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m mutation", description="Try mutants of the code.")
    parser.add_argument("wanted", nargs="*", metavar="PACKAGE|MODULE", help="only these (what is done)")
    known = _KNOWN.read_text()
    wanted = parser.parse_args(arguments).wanted or done(known)
    every = find_modules(Project.read(_ROOT))
    by_name = {
        name: [module for module in every if module.name == name or module.name.startswith(f"{name}/")]
        for name in wanted
    }
    for name, found in by_name.items():
        if not any(module.tests for module in found):
            parser.error(f"{name} has no tests of its own" if found else f"there is no {name}")
    modules = [
        module for module in every if module.tests and any(module in found for found in by_name.values())
    ]
    survivors: list[Change] = []
    failed = False
    for module in modules:
        outcome = in_a_fork(partial(_try, module)) or Outcome(failure="it ended without an answer")
        failed = failed or bool(outcome.failure)
        survivors += outcome.survivors
        told = outcome.failure or f"{outcome.mutants} mutants, {len(outcome.survivors)} survive"
        print(f"{module.name}: {told}", flush=True)
    tried = [_dotted(module) for module in modules]
    others = [_dotted(module) for module in every if module not in modules]
    to_mend = faults(survivors, read_known(known), tried, others)
    print("\n\n".join(to_mend), end="\n" if to_mend else "")
    return 1 if failed or to_mend else 0


def _try(module: Module) -> Outcome:
    return run(f"hatchway.{_dotted(module)}", module.path, module.tests)


def _dotted(module: Module) -> str:
    return ".".join(Path(module.name).with_suffix("").parts).removesuffix(".__init__")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
