"""The CA certificates that a profile trusts, brought up to date while one CA takes another's place.

Whoever trusts the CA of today asks the API, whose certificate is of it, which CAs to trust from now on.
"""

import http.client
import os
import ssl
import tempfile
import urllib.request
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hatchway.errors import CommandFailed, reason

PATH: Final = "/.well-known/hatchway/ca.pem"
_LONGEST: Final = 65_536
_TIMEOUT: Final = 10.0


def update(endpoint_url: str, file: Path) -> tuple[str, ...] | None:
    """Puts the CAs that the API names into the profile's file: their SHA-256 fingerprints, None when it had
    these already.

    What the API says counts only where it is seen by what the file holds now, and names one of these still: a
    file of somebody else's CAs is not written over.

    Raises:
        CommandFailed: the API cannot be asked, or does not say it; or the file cannot be read or written.
    """
    url = endpoint_url.rstrip("/") + PATH
    if not url.lower().startswith("https:"):
        raise CommandFailed(f"{url} is not asked: over http anybody on the way could say whom to trust")
    try:
        before = file.read_bytes()
        context = ssl.create_default_context(cadata=before.decode("ascii"))
    except (OSError, UnicodeError) as problem:
        raise CommandFailed(f"cannot use {file}: {reason(problem)}") from problem
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT, context=context) as answer:  # noqa: S310 - https
            text = answer.read(_LONGEST)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        why = getattr(problem, "reason", None) or problem
        raise CommandFailed(f"{url}: {why}: see that the API is there, and trusted by {file}") from problem
    named, known = _fingerprints(text, url), _fingerprints(before, str(file))
    if not set(named) & set(known):
        raise CommandFailed(f"{file} holds none of the CAs that {url} names: it is not changed")
    if named == known:
        return None
    _replace(file, text)
    return named


def _fingerprints(text: bytes, where: str) -> tuple[str, ...]:
    try:
        certificates = x509.load_pem_x509_certificates(text)
        constraints = [
            each.extensions.get_extension_for_class(x509.BasicConstraints).value for each in certificates
        ]
    except (ValueError, x509.ExtensionNotFound):
        constraints = []
    if not constraints or not all(each.ca for each in constraints):
        raise CommandFailed(f"{where} holds no CA certificate in PEM form")
    return tuple(each.fingerprint(hashes.SHA256()).hex() for each in certificates)


def _replace(file: Path, content: bytes) -> None:
    target = file.resolve()
    try:
        descriptor, aside = tempfile.mkstemp(prefix=".hatchway-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                os.fchmod(descriptor, target.stat().st_mode & 0o777)
                os.fsync(descriptor)
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise CommandFailed(f"cannot write {file}: {reason(problem)}") from problem
