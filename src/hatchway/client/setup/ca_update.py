"""The CA certificates that a profile trusts, brought up to date while one CA takes another's place.

Whoever trusts the CA of today asks the API, whose certificate is of it, which CAs to trust from now on.
"""

import http.client
import os
import re
import ssl
import tempfile
import urllib.request
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from hatchway.client.connection.proxy import CHECK
from hatchway.client.errors import printable
from hatchway.errors import CommandFailed, reason
from hatchway.pki.certificate_authority import OWN_NAME
from hatchway.pki.certificates import UNREADABLE, PkiProblem
from hatchway.pki.name_constraints import fenced_names, permitted_dns_names

PATH: Final = "/.well-known/hatchway/ca.pem"
_BLOCK: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----[ \t]*(?:\r?\n)?"
)
_LONGEST: Final = 65_536
_MOST_TOLD: Final = 10
_TIMEOUT: Final = 10.0


def update(endpoint_url: str, file: Path, names: Sequence[str] = ()) -> tuple[str, ...] | None:
    """Puts the CAs that the API names into the profile's file: their SHA-256 fingerprints, None when it had
    these already.

    What the API says counts only where it is seen by what the file holds now, and names one of these still.
    Of the file all stays as it is but those that it names, and those whose place they take: CAs that Hatchway
    has made, for no other names.

    Who shows a certificate of such a CA is not therefore to be believed for more than it: a thief of a
    gateway's would name a CA for all the world. So none is taken over but what is fenced in as Hatchway's
    are, and for names for which those in the file may issue.

    Args:
        names: those for which the new CAs may issue besides.

    Raises:
        CommandFailed: the API cannot be asked, or does not say it; or the file cannot be read or written.
    """
    url = endpoint_url.rstrip("/") + PATH
    if not url.lower().startswith("https:"):
        raise CommandFailed(f"{url} is not asked: over http anybody on the way could say whom to trust")
    try:
        before = file.read_bytes()
        known = [_read(block, str(file)) for block in _BLOCK.findall(before)]
        if not known:
            raise CommandFailed(f"{file} holds no CA certificate in PEM form")
        context = ssl.create_default_context(cadata="".join(map(_pem, known)))
    except OSError as problem:
        raise CommandFailed(f"cannot use {file}: {reason(problem)}") from problem
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT, context=context) as answer:  # noqa: S310 - https
            text = answer.read(_LONGEST)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        why = getattr(problem, "reason", None) or problem
        if "Tunnel connection failed" in str(why):
            # As http.client calls what a proxy answers.
            raise CommandFailed(f"{url}: the proxy refuses: {why}: {CHECK}") from problem
        raise CommandFailed(f"{url}: {why}: see that the API is there, and trusted by {file}") from problem
    named = [_read(block, url) for block in _BLOCK.findall(text)]
    if not named or not all(map(_is_ca, named)):
        raise CommandFailed(f"{url} holds no CA certificate in PEM form")
    if not set(named) & set(known):
        raise CommandFailed(f"{file} holds none of the CAs that {url} names: it is not changed")
    _require_fenced([each for each in named if each not in known], known, names, url)
    theirs = [each for each in known if each in named or _is_replaced(each, named)]
    if theirs == named:
        return None
    _replace(file, _with(before, theirs, named))
    return tuple(each.fingerprint(hashes.SHA256()).hex() for each in named)


def _require_fenced(
    new: Sequence[x509.Certificate], known: Sequence[x509.Certificate], names: Sequence[str], url: str
) -> None:
    """
    Raises:
        CommandFailed: one may issue for more than it should.
    """
    within = {name.lower() for name in names}.union(*(_names(each) or () for each in known))
    for each in new:
        its = fenced_names(_pem(each).encode())
        if its is None:
            raise CommandFailed(
                f"{url} names a CA that is not fenced in as those are that Hatchway makes: it could pose as"
                " anybody. Nothing was changed: tell your Hatchway administrator"
            )
        beyond = sorted(name for name in its if not _is_within(name, within))
        if beyond:
            options = " ".join(f"--name {printable(name, 253)}" for name in beyond[:_MOST_TOLD])
            raise CommandFailed(
                f"{url} names a CA for names for which none may issue that is trusted now: if whoever runs"
                f" Hatchway says that they are meant, give {options}"
            )


def _is_within(name: str, names: Collection[str]) -> bool:
    """Whether it is one of these, or below one."""
    labels = name.lower().split(".")
    return any(".".join(labels[number:]) in names for number in range(len(labels)))


def _with(before: bytes, theirs: Sequence[x509.Certificate], named: Sequence[x509.Certificate]) -> bytes:
    """The file with these in the place of the first of those, and without the others of those."""
    fresh = "".join(map(_pem, named)).encode()

    def replacement(block: re.Match[bytes]) -> bytes:
        nonlocal fresh
        if _read(block[0], "it") not in theirs:
            return block[0]
        put, fresh = fresh, b""
        return put

    return _BLOCK.sub(replacement, before)


def _is_replaced(certificate: x509.Certificate, named: Sequence[x509.Certificate]) -> bool:
    """Whether it is a CA that Hatchway has made, and one of these may issue for all that it may."""
    common_name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common_name) != 1 or not str(common_name[0].value).startswith(OWN_NAME):
        return False
    names = _names(certificate)
    return names is not None and any(names <= (_names(each) or set()) for each in named)


def _names(certificate: x509.Certificate) -> set[str] | None:
    """The DNS names for which a CA of Hatchway's may issue; None of another's."""
    try:
        return set(permitted_dns_names(_pem(certificate).encode()))
    except PkiProblem:
        return None


def _read(block: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(block)
    except UNREADABLE as problem:
        raise CommandFailed(f"{where} holds a damaged certificate: fix it first") from problem


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _replace(file: Path, content: bytes) -> None:
    target = file.resolve()
    try:
        descriptor, aside = tempfile.mkstemp(prefix=".hatchway-", dir=target.parent)
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
                opened.flush()
                before = target.stat()
                # Windows has neither modes nor owners of this kind.
                if hasattr(os, "fchown"):
                    os.fchmod(descriptor, before.st_mode & 0o777)
                    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                        # Root does it for somebody, who is to read the file ever after.
                        os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fsync(descriptor)
            Path(aside).replace(target)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
    except OSError as problem:
        raise CommandFailed(f"cannot write {file}: {reason(problem)}") from problem
