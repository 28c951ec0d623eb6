"""The canonical form of a request and the signature over it.

AWS General Reference, "Create a canonical request for Signature Version 4", for services other than S3.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from hatchway.sigv4.errors import IncompleteSignature, SignatureDoesNotMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hatchway.sigv4.keys import Scope

ALGORITHM = "AWS4-HMAC-SHA256"
EMPTY_PAYLOAD_HASH = hashlib.sha256(b"").hexdigest()

_BLOCK = 64
"""Bytes that SHA-256 takes at once."""
_INNER = bytes([byte ^ 0x36 for byte in range(256)])
_OUTER = bytes([byte ^ 0x5C for byte in range(256)])

_is_canonical_path = re.compile(r"(?:/[\w~-][\w.~-]*+)++", re.ASCII).fullmatch


def percent_encode(text: str) -> str:
    """`text` as UTF-8, every byte but RFC 3986's unreserved characters as `%XX`."""
    return quote(text, safe="")


def canonical_path(path: str) -> str:
    """The path without dot segments and repeated slashes, percent-encoded once more than it already is."""
    if _is_canonical_path(path):
        return path
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(segment)
    if not segments:
        return "/"
    start = "/" if path.startswith("/") else ""
    end = "/" if path.endswith("/") else ""
    return quote(start + "/".join(segments) + end, errors="surrogatepass")


def canonical_query(pairs: Iterable[tuple[str, str]], *, without: str | None = None) -> str:
    """Canonical pairs joined, sorted by name and then by value, but for those of the name `without`."""
    # Texts take a third of the time that pairs take to sort; a name ends before all that may be in one.
    lines = sorted([f"{name}\0{value}" for name, value in pairs if name != without])
    return "&".join(lines).replace("\0", "=")


def canonical_headers(headers: Sequence[tuple[str, str]], signed_headers: tuple[str, ...]) -> str:
    """One `name:value` line for each signed header.

    Raises:
        IncompleteSignature: the `Host`, or an `x-amz-*` header of the request, is not among `signed_headers`.
        SignatureDoesNotMatch: a header that was signed is not in the request, or `Host` is there more than
            once.
    """
    if "host" not in signed_headers:
        raise IncompleteSignature("'Host' must be a 'SignedHeader' in the AWS Authorization.", ("host",))
    wanted = frozenset(signed_headers)
    values: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in wanted:
            trimmed = " ".join(value.split())
            if lower not in values:
                values[lower] = trimmed
            elif lower == "host":
                raise SignatureDoesNotMatch("The request has more than one Host header.")
            else:
                values[lower] += f",{trimmed}"
        elif lower.startswith("x-amz-"):
            raise IncompleteSignature(
                "Every x-amz-* header of the request must be a 'SignedHeader' in the AWS Authorization.",
                (lower[:64],),
            )
    if len(values) != len(signed_headers):
        raise SignatureDoesNotMatch("A header named in SignedHeaders is not in the request.")
    return "".join([f"{name}:{values[name]}\n" for name in signed_headers])


def compute_signature(
    signing_key: bytes,
    *,
    method: str,
    path: str,
    parameters: Sequence[tuple[str, str]],
    without: str | None = None,
    headers: str,
    signed_headers: tuple[str, ...],
    payload_hash: str,
    timestamp: str,
    scope: Scope,
) -> str:
    """The signature, 64 hexadecimal digits, over parts that are canonical already.

    `parameters` are the query's, in any order, and `without` the name of those that are not signed.
    `timestamp` is `YYYYMMDD'T'HHMMSS'Z'`.
    """
    query = canonical_query(parameters, without=without)
    request = f"{method}\n{path}\n{query}\n{headers}\n{';'.join(signed_headers)}\n{payload_hash}"
    digest = hashlib.sha256(request.encode(errors="surrogatepass")).hexdigest()
    return hmac_sha256(signing_key, f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode())


def hmac_sha256(key: bytes, message: bytes) -> str:
    """HMAC-SHA256 in hexadecimal, for keys of up to 64 bytes (RFC 2104 section 2).

    OpenSSL's own looks for its implementation at each call, which in a busy process takes several times as
    long as the hashing.
    """
    key = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(key.translate(_INNER) + message).digest()
    return hashlib.sha256(key.translate(_OUTER) + inner).hexdigest()
