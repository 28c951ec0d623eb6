"""One target for a while, or on given inputs: `python -m fuzz.one TARGET [--seconds N | FILE…]`.

With atheris, libFuzzer looks for inputs that reach new code. Without it they are changed at random.
"""

from __future__ import annotations

import argparse
import sys
import time
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from fuzz.draws import mutated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.targets import Target

SLOWEST: Final = 20
"""Seconds in which an input must be done with. They are so many that no busy machine makes a finding."""
_MOST_MEGABYTES: Final = 2048
_LONGEST: Final = 16 * 1024
"""Bytes of an input. What longer ones cost is `growing`'s to find."""


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz.one")
    parser.add_argument("target")
    parser.add_argument(
        "inputs", nargs="*", type=Path, metavar="FILE", help="run these inputs, and nothing else"
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="a directory of inputs, to begin with and to add to")
    parser.add_argument("--findings", type=Path, default=Path(), help="a directory for inputs that fail")
    given = parser.parse_args(arguments)
    try:
        import atheris
    except ImportError:
        from fuzz.targets import Target

        target = Target(given.target)
        if given.inputs:
            _repeat(target, given.inputs)
        else:
            _unguided(target, given.seconds, given.findings)
        return
    with atheris.instrument_imports(include=["hatchway"]):
        from fuzz.targets import Target

        target = Target(given.target)
    if given.inputs:
        _repeat(target, given.inputs)
        return
    options = [
        f"-max_total_time={given.seconds}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={_MOST_MEGABYTES}",
        f"-max_len={_LONGEST}",
        f"-artifact_prefix={given.findings}/{target.name}-",
        "-print_final_stats=1",
    ]
    if given.corpus is not None:
        for seed in target.seeds():
            (given.corpus / sha256(seed).hexdigest()[:40]).write_bytes(seed)
        options.append(str(given.corpus))
    atheris.Setup([sys.argv[0], *options], target.one_input)
    atheris.Fuzz()


def _repeat(target: Target, inputs: Sequence[Path]) -> None:
    for path in inputs:
        target.one_input(path.read_bytes())
        print(f"{path}: holds")


def _unguided(target: Target, seconds: float, findings: Path) -> None:
    random = Random()
    inputs = list(target.seeds())
    runs = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = inputs[runs] if runs < len(inputs) else mutated(random.choice(inputs), random)[:_LONGEST]
        runs += 1
        try:
            target.one_input(data)
        except BaseException:
            path = findings / f"{target.name}-crash-{sha256(data).hexdigest()[:40]}"
            path.write_bytes(data)
            print(f"Test unit written to {path}")
            raise
        if random.random() < 0.05:
            # Some changes become the ground for more.
            inputs[random.randrange(len(inputs))] = data
    print(f"stat::number_of_executed_units: {runs}")


if __name__ == "__main__":
    main(sys.argv[1:])
