"""Asking the API as a machine: by TLS that is held to the private CA, within bounds of size and time."""

import hashlib
import http.client
import json
import random
import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from hatchway.errors import BadUsage, CommandFailed
from hatchway.pki.certificates import PkiProblem, certificates_in

CA_PATH: Final = "/.well-known/hatchway/ca.pem"
NOT_KNOWN: Final = 401
"""HTTP's status of a token that is not good, or no longer."""
_TIMEOUT: Final = 15.0
_LONGEST: Final = 262_144
"""Bytes of an answer: it may hold a certificate of some 1,500 names, and these once more."""
_LONGEST_REFUSAL: Final = 300


class NotTrusted(CommandFailed):
    """Who has answered is not of the CA that the machine trusts."""


class Refused(CommandFailed):
    """The API has answered, and not as asked. `status` is HTTP's; `is_certain` whether no other of its URLs
    may have done what was asked."""

    def __init__(self, status: int, message: str, *, is_certain: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.is_certain = is_certain


def check_url(text: str) -> str:
    """
    Raises:
        BadUsage: it is no URL of an API.
    """
    try:
        parts = urlsplit(text)
        good = (
            parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
        )
    except ValueError:
        good = False
    if not good or not text.isascii() or not text.isprintable() or parts.query or parts.username:
        raise BadUsage(
            f"--api-url {text!r} is not the https:// URL of an API, such as https://hatchway.example:8443"
        )
    return f"https://{parts.netloc}"


def pinned_authority(urls: Sequence[str], fingerprint: bytes) -> bytes:
    """The CA whose certificate has this SHA-256, in PEM, as the first of these URLs names it that does.

    They are asked without knowing whom: nothing but that certificate is taken from the answers.

    Raises:
        CommandFailed: none can be asked, or names such a CA.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    failed: CommandFailed | None = None
    for url in urls:
        try:
            status, text = _ask(urlsplit(url), context, CA_PATH)
            found = certificates_in(text) if status == 200 else []
        except CommandFailed as problem:
            failed = problem
            continue
        except PkiProblem:
            found = []
        for each in found:
            if hashlib.sha256(ssl.PEM_cert_to_DER_cert(each.decode("ascii"))).digest() == fingerprint:
                return each
        failed = CommandFailed(
            f"{url} does not name the CA of this join token: it is another installation's, somebody is"
            " between, or another CA has taken its place since (then have a new token made)"
        )
    assert failed is not None
    raise failed


def trusting(authorities: bytes | None) -> ssl.SSLContext:
    """TLS that trusts these CAs alone; None: the system's.

    Raises:
        CommandFailed: these are none.
    """
    try:
        return ssl.create_default_context(cadata=None if authorities is None else authorities.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as problem:
        raise CommandFailed("ca.pem is damaged: restore it from a backup, or join again") from problem


def post(
    urls: Sequence[str], context: ssl.SSLContext, path: str, token: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """What the API answers, at the first of its URLs that does.

    Raises:
        Refused: it refuses.
        CommandFailed: none can be reached, or what is there is no API.
    """
    content = json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    failed: CommandFailed | None = None
    is_certain = True
    for url in random.sample(urls, len(urls)):
        try:
            status, text = _ask(urlsplit(url), context, path, headers, content)
        except CommandFailed as problem:
            failed, is_certain = problem, False
            continue
        if status != 200:
            refusal = text.decode("utf-8", "replace").strip().splitlines()
            said = "".join(filter(str.isprintable, refusal[0][:_LONGEST_REFUSAL])) if refusal else "no reason"
            failed = Refused(status, f"{url} refuses ({status}): {said}", is_certain=is_certain)
            # Others may be able to do what this one cannot at the moment.
            if status in (NOT_KNOWN, 400):
                break
            continue
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        failed = CommandFailed(
            f"{url} does not answer as an API of this version: see that it has been upgraded"
        )
    assert failed is not None
    raise failed


def _ask(
    url: SplitResult,
    context: ssl.SSLContext,
    path: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    content: bytes | None = None,
) -> tuple[int, bytes]:
    """Asks, and gives something to take where there is content: the status and the answer's body."""
    host = url.hostname or ""
    connection = http.client.HTTPSConnection(host, url.port or 443, timeout=_TIMEOUT, context=context)
    try:
        with closing(connection):
            connection.request("GET" if content is None else "POST", path, content, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read(_LONGEST)
    except ssl.SSLCertVerificationError as problem:
        raise NotTrusted(
            f"the certificate of {url.netloc} is not accepted: {problem.verify_message}"
        ) from problem
    except (OSError, http.client.HTTPException, ValueError) as problem:
        why = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise CommandFailed(f"cannot ask {url.netloc}: {why}") from problem
