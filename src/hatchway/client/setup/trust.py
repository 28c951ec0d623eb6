"""The system's trust store: adding the private CA to it, and taking it out again.

The AWS CLI checks a gateway's certificate against this store alone. Debian and its kin collect files from a
directory (update-ca-certificates(8)); others have p11-kit's trust(1).
"""

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hatchway.errors import BadUsage, CommandFailed

_DEBIAN_DIRECTORY: Final = Path("/usr/local/share/ca-certificates")
_DEBIAN_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_LONGEST_PEM: Final = 65_536
_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA's certificate. `name` tells it from those of other installations."""

    file: Path
    pem: bytes
    name: str

    @classmethod
    def read(cls, file: Path) -> "tuple[Authority, ...]":
        """Those in a file: one, or both while one takes another's place.

        Raises:
            BadUsage: the file holds no CA's certificate, or another one.
        """
        try:
            with file.open("rb") as opened:
                pem = opened.read(_LONGEST_PEM)
        except OSError as problem:
            raise BadUsage(f"cannot read {file}: {problem.strerror}") from problem
        try:
            certificates = [ssl.PEM_cert_to_DER_cert(block.decode()) for block in _BLOCK.findall(pem)]
            are_cas = [_is_ca(each) for each in certificates]
        except ValueError as problem:
            raise BadUsage(f"{file} holds no CA certificate in PEM form") from problem
        if not certificates:
            raise BadUsage(f"{file} holds no CA certificate in PEM form")
        if not all(are_cas):
            raise BadUsage(f"{file} is the certificate of a server, not of a CA")
        return tuple(
            cls(
                file,
                # As it stands in the file where it is alone there: so earlier runs have placed it.
                pem if len(certificates) == 1 else ssl.DER_cert_to_PEM_cert(each).encode(),
                f"hatchway-{hashlib.sha256(each).hexdigest()[:16]}",
            )
            for each in certificates
        )


def _is_ca(certificate: bytes) -> bool:
    """By OpenSSL: who has installed the client alone has no other library for certificates.

    Raises:
        ValueError: it is none (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError as problem:
        raise ValueError(str(problem)) from problem
    return context.cert_store_stats()["x509_ca"] == 1


def install(authority: Authority) -> str:
    """Makes the system trust the CA; what was done, in a sentence. What fails or is interrupted is undone.

    Raises:
        CommandFailed: it could not be done.
    """
    _need_root()
    if _program("update-ca-certificates"):
        target = _DEBIAN_DIRECTORY / f"{authority.name}.crt"
        there = _is_ours(target, authority)
        with _rolled_back_on_failure(target):
            if not there:
                _place(target, authority.pem)
            _run(["update-ca-certificates"])
            _check_bundle(authority)
        return f"Wrote {target} and ran update-ca-certificates: this system trusts the CA."
    if _program("trust"):
        with _alone(authority) as file:
            _run(["trust", "anchor", "--store", str(file)])
        return f"Ran trust anchor --store {authority.name}.crt: this system trusts the CA."
    raise CommandFailed(_NO_STORE)


def uninstall(authority: Authority) -> str:
    """Undoes `install`; what was done, in a sentence.

    Raises:
        CommandFailed: it could not be done. Then the CA is trusted as before.
    """
    _need_root()
    if _program("update-ca-certificates"):
        target = _DEBIAN_DIRECTORY / f"{authority.name}.crt"
        if not _is_ours(target, authority):
            return f"There is no {target}: this system did not trust the CA."
        with _rolled_back_on_failure(target):
            target.unlink()
            # Without --fresh it leaves a dangling link in the directory of certificates.
            _run(["update-ca-certificates", "--fresh"])
        return f"Removed {target} and ran update-ca-certificates: this system no longer trusts the CA."
    if _program("trust"):
        with _alone(authority) as file:
            _run(["trust", "anchor", "--remove", str(file)])
        return f"Ran trust anchor --remove {authority.name}.crt: this system no longer trusts the CA."
    raise CommandFailed(_NO_STORE)


@contextmanager
def _alone(authority: Authority) -> Iterator[Path]:
    """A file with its certificate and no other."""
    with tempfile.TemporaryDirectory(prefix="hatchway-trust-") as directory:
        file = Path(directory, f"{authority.name}.crt")
        file.write_bytes(authority.pem)
        yield file


def _is_ours(target: Path, authority: Authority) -> bool:
    """Whether the file is what `install` writes; False when there is none.

    Raises:
        CommandFailed: somebody else's file or link has its place.
    """
    if not os.path.lexists(target):
        return False
    if target.is_symlink() or not target.is_file() or target.read_bytes() != authority.pem:
        raise CommandFailed(f"{target} is not what this command writes: move it away, then run this again")
    return True


def _place(target: Path, content: bytes) -> None:
    """All at once, and through no link that somebody put there."""
    fresh = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    if fresh:
        target.parent.chmod(0o755)
    descriptor, aside = tempfile.mkstemp(prefix=".hatchway-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, 0o644)
        Path(aside).rename(target)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


@contextmanager
def _rolled_back_on_failure(target: Path) -> Iterator[None]:
    """Has the file, and what update-ca-certificates makes of it, be as before when the block is left early.

    The file is ours or there is none.
    """
    before = target.read_bytes() if target.exists() else None
    missing = [path for path in (target.parent, *target.parent.parents) if not path.exists()]
    try:
        yield
    except BaseException as problem:
        if before is None and target.exists():
            target.unlink()
        elif before is not None and not target.exists():
            _place(target, before)
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        with suppress(CommandFailed, OSError):
            _run(["update-ca-certificates", "--fresh"])
        if isinstance(problem, OSError):
            raise CommandFailed(f"cannot write {target}: {problem.strerror}") from problem
        raise


def _check_bundle(authority: Authority) -> None:
    try:
        found = authority.pem.strip() in _DEBIAN_BUNDLE.read_bytes()
    except OSError:
        found = False
    if not found:
        raise CommandFailed(
            f"update-ca-certificates did not put the CA into {_DEBIAN_BUNDLE}: run it by hand and see why"
        )


_NO_STORE: Final = (
    "this system has neither update-ca-certificates nor trust: install the package ca-certificates, or add"
    " the CA's certificate to the trust store by hand"
)


def _need_root() -> None:
    # Windows has no such thing, and no store of those that are known here.
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        raise CommandFailed("only root can change the system's trust store: run this with sudo")


def _program(name: str) -> str | None:
    return shutil.which(name, path=_PATH)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        [_program(command[0]) or command[0], *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        # What root runs is the system's, whatever the caller's PATH; and readable by all, whatever his umask.
        env={"PATH": _PATH, "LC_ALL": "C"},
        umask=0o022,
    )
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines()
        raise CommandFailed(f"{' '.join(command)} failed: {reason[-1] if reason else done.returncode}")
