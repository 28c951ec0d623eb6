"""The system's trust store: adding the private CA to it, and taking it out again.

The AWS CLI checks a gateway's certificate against this store alone. Debian and its kin collect files from a
directory (update-ca-certificates(8)); others have p11-kit's trust(1).
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hatchway.cli.errors import BadUsage, CommandFailed

_DEBIAN_DIRECTORY: Final = Path("/usr/local/share/ca-certificates")


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA's certificate. `name` tells it from those of other installations."""

    file: Path
    pem: bytes
    name: str

    @classmethod
    def read(cls, file: Path) -> "Authority":
        """
        Raises:
            BadUsage: the file holds no CA's certificate.
        """
        try:
            pem = file.read_bytes()
            certificate = x509.load_pem_x509_certificate(pem)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        except OSError as problem:
            raise BadUsage(f"cannot read {file}: {problem.strerror}") from problem
        except (ValueError, x509.ExtensionNotFound) as problem:
            raise BadUsage(f"{file} holds no CA certificate in PEM form") from problem
        if not constraints.value.ca:
            raise BadUsage(f"{file} is the certificate of a server, not of a CA")
        return cls(file, pem, f"hatchway-{certificate.fingerprint(hashes.SHA256()).hex()[:16]}")


def install(authority: Authority) -> str:
    """Makes the system trust the CA; what was done, in a sentence.

    Raises:
        CommandFailed: it could not be done.
    """
    _need_root()
    if shutil.which("update-ca-certificates"):
        target = _DEBIAN_DIRECTORY / f"{authority.name}.crt"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(authority.pem)
            target.chmod(0o644)
        except OSError as problem:
            raise CommandFailed(f"cannot write {target}: {problem.strerror}") from problem
        _run(["update-ca-certificates"])
        return f"Wrote {target} and ran update-ca-certificates: this system trusts the CA."
    if shutil.which("trust"):
        _run(["trust", "anchor", "--store", str(authority.file)])
        return f"Ran trust anchor --store {authority.file}: this system trusts the CA."
    raise CommandFailed(_NO_STORE)


def uninstall(authority: Authority) -> str:
    """Undoes `install`; what was done, in a sentence.

    Raises:
        CommandFailed: it could not be done.
    """
    _need_root()
    if shutil.which("update-ca-certificates"):
        target = _DEBIAN_DIRECTORY / f"{authority.name}.crt"
        if not target.exists():
            return f"There is no {target}: this system did not trust the CA."
        target.unlink()
        # Without --fresh it leaves a dangling link in the directory of certificates.
        _run(["update-ca-certificates", "--fresh"])
        return f"Removed {target} and ran update-ca-certificates: this system no longer trusts the CA."
    if shutil.which("trust"):
        _run(["trust", "anchor", "--remove", str(authority.file)])
        return f"Ran trust anchor --remove {authority.file}: this system no longer trusts the CA."
    raise CommandFailed(_NO_STORE)


_NO_STORE: Final = (
    "this system has neither update-ca-certificates nor trust: install the package ca-certificates, or add"
    " the CA's certificate to the trust store by hand"
)


def _need_root() -> None:
    if os.geteuid() != 0:
        raise CommandFailed("only root can change the system's trust store: run this with sudo")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise CommandFailed(f"{' '.join(command)} failed: {reason[-1] if reason else done.returncode}")
