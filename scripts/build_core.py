#!/usr/bin/env python3
"""Build the compiled core beside its source: scripts/build_core.py [--sanitize]

It needs a C compiler (`cc`, or what the variable CC names), and the headers of the Python that runs this and
of OpenSSL 3: Debian's gcc, python3-dev and libssl-dev. hatch_build.py builds it into a wheel by this.
"""

from __future__ import annotations

import argparse
import os
import runpy
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

CORE = Path("src", "hatchway", "transport", "core")
NAME = "_core.abi3.so"

FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra")
WARNED_OF = (
    "-Wshadow",
    "-Wconversion",
    "-Wno-sign-conversion",
    "-Wno-missing-field-initializers",
    "-Wno-cast-function-type",
)
HARDENED = ("-O3", "-fstack-protector-strong", "-Wl,-z,relro,-z,now")
SANITIZED = (
    "-O1",
    "-g",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
)


def command(root: Path, to: Path, *, sanitize: bool = False) -> list[str]:
    """What compiles it. An error is whatever the compiler warns of."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    program = runpy.run_path(str(root / CORE / "source_digest.py"))
    sources = program["source_digest"](root / CORE)
    headers = sysconfig.get_paths()["include"]
    flags = (*FLAGS, *WARNED_OF, "-Werror", *(SANITIZED if sanitize else HARDENED))
    return [
        *compiler,
        *flags,
        f'-DSOURCES="{sources}"',
        f"-I{headers}",
        str(root / CORE / "_core.c"),
        "-o",
        str(to),
        "-lssl",
        "-lcrypto",
    ]


def build(root: Path, to: Path, *, sanitize: bool = False) -> None:
    """
    Raises:
        OSError: there is no compiler.
        subprocess.CalledProcessError: it has failed, and said why.
    """
    # Whoever has loaded the one that was there before keeps it.
    new = to.with_name(f"{to.name}.new")
    subprocess.run(command(root, new, sanitize=sanitize), check=True)
    new.replace(to)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Build the compiled core beside its source.")
    arguments.add_argument(
        "--sanitize", action="store_true", help="with AddressSanitizer and UBSan, to be tested"
    )
    options = arguments.parse_args()
    root = Path(__file__).resolve().parent.parent
    try:
        build(root, root / CORE / NAME, sanitize=options.sanitize)
    except OSError as problem:
        print(f"build_core: {problem}; install the packages gcc, python3-dev and libssl-dev", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failed:
        print("build_core: the compiler failed; it needs Python's and OpenSSL's headers", file=sys.stderr)
        return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
