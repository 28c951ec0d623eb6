#!/usr/bin/env python3
"""Write the requirements files that pip installs from: every version, with the hashes of its archives.

pyproject.toml says what works, in ranges; these files say what is installed, to the last dependency, on
Python 3.11 and later. The options are uv's: without one, versions stay as the files have them and what is
missing is added; `--upgrade-package NAME` renews one, `--upgrade` all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
OLDEST_PYTHON = "3.11"


@dataclass(frozen=True)
class Lock:
    """One requirements file: dependency groups of pyproject.toml, less what its base holds."""

    path: str
    purpose: str
    groups: tuple[str, ...]
    base: Lock | None = None
    project: bool = True
    """Whether what Hatchway itself needs, with all its extras, is in it."""

    @property
    def below(self) -> tuple[Lock, ...]:
        """Those that it builds on, the nearest first."""
        return (self.base, *self.base.below) if self.base else ()


RUNTIME = Lock("requirements.txt", "What Hatchway runs on, its extras, and what builds it.", ("build",))
DEVELOPMENT = Lock("requirements-dev.txt", "What the tests and the checks need besides.", ("dev",), RUNTIME)
LOCKS = (
    RUNTIME,
    DEVELOPMENT,
    Lock("fuzz/requirements.txt", "What coverage-guided fuzzing needs besides.", ("fuzz",), DEVELOPMENT),
    Lock("mutation/requirements.txt", "What mutation testing needs besides.", ("mutation",), DEVELOPMENT),
    Lock("bench/requirements.txt", "What the benchmarks compare with and draw with.", ("bench",), RUNTIME),
    Lock(
        "scripts/requirements-npm.txt",
        "npm, for a machine that has none, to download the AWS CLI.",
        ("npm",),
        project=False,
    ),
)


def entries(text: str) -> list[str]:
    """The requirements of a file, each with its hashes; comments and options, such as `-r`, are left out."""
    found: list[str] = []
    for line in text.splitlines():
        if line.startswith((" ", "\t")):
            found[-1] += f"\n{line}"
        elif line and not line.startswith(("#", "-")):
            found.append(line)
    return found


def resolve(lock: Lock, options: list[str], directory: Path) -> str:
    """What uv makes of a lock, the files below it included; it may ask the package index.

    Raises subprocess.CalledProcessError when the ranges cannot be met; uv has said why on standard error.
    """
    held = directory / "held.txt"
    files = [REPOSITORY / each.path for each in (lock, *lock.below)]
    held.write_text(
        "\n".join(entry for file in files if file.exists() for entry in entries(file.read_text()))
    )
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--universal"]
    command += ["--python-version", OLDEST_PYTHON, "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--output-file", str(held), *options]
    for each in (lock, *lock.below):
        command += [option for group in each.groups for option in ("--group", group)]
    if lock.base is not None:
        command += ["--constraints", lock.base.path]
    if lock.project:
        command += ["pyproject.toml", "--all-extras"]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return held.read_text()


def write(lock: Lock, resolved: str) -> None:
    """Put into a lock's file what those below it do not hold already."""
    below = {entry for each in lock.below for entry in entries((REPOSITORY / each.path).read_text())}
    lines = [f"# {lock.purpose} Written by `make lock` from pyproject.toml; do not edit."]
    if lock.base is not None:
        up = "../" * lock.path.count("/")
        lines.append(f"-r {up}{lock.base.path}")
    lines += [entry for entry in entries(resolved) if entry not in below]
    (REPOSITORY / lock.path).write_text("\n".join(lines) + "\n")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="hatchway-lock-") as directory:
        for lock in LOCKS:
            try:
                write(lock, resolve(lock, sys.argv[1:], Path(directory)))
            except subprocess.CalledProcessError as error:
                return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
