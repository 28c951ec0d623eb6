"""Deciding whether a request was signed by whoever holds the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from hatchway.sigv4.canonical import (
    EMPTY_PAYLOAD_HASH,
    canonical_headers,
    canonical_path,
    compute_signature,
)
from hatchway.sigv4.errors import RequestExpired, SignatureDoesNotMatch, UnknownAccessKey, WrongScope

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from hatchway.sigv4.request import HttpRequest
    from hatchway.sigv4.signature import Signature

CLOCK_SKEW = timedelta(minutes=5)
"""How far the client's clock may be from ours, either way and in both forms.

A presigned URL is good from this long before its `X-Amz-Date` to this long after its `X-Amz-Expires` have
passed: a client whose clock is slow made it with a date that is past already.
"""

_EARLIEST = -CLOCK_SKEW
_NO_KEY = bytes(32)


KeyedDigest = Callable[[bytes, str], str]
"""What computes a signature where something quicker is at hand: HMAC-SHA256 of a text, in hexadecimal, under
a key of up to 64 bytes.
"""


def verify(
    request: HttpRequest,
    signature: Signature,
    signing_key: bytes | None,
    *,
    now: datetime,
    region: str,
    services: Collection[str],
    payload_hash: str | None = None,
    keyed_digest: KeyedDigest | None = None,
) -> None:
    """Return when `signature`, read from this very `request`, is the one that `signing_key` makes of it.

    Args:
        signing_key: of `signature.scope`, or None when the access key is unknown. As much is computed then;
            the error says so, as AWS's does, for an access key's id is no secret.
        now: an aware datetime.
        region: the one region whose scope is accepted.
        services: the service names whose scopes are accepted.
        payload_hash: what to take for the SHA-256 of a body that is not there yet, in lower-case hexadecimal.
            Only the header form has one.
        keyed_digest: what computes the signature, where there is one and the text that is signed is there.

    Raises:
        WrongScope: the scope's date is not that of the signing time, or its region or service is not served
            here.
        RequestExpired: signed too long ago, or too far in the future.
        IncompleteSignature: `Host` or an `x-amz-*` header is not signed.
        SignatureDoesNotMatch: anything signed is different, or `X-Amz-Content-Sha256` is not the body's hash,
            or a presigned URL comes with a body.
        UnknownAccessKey: `signing_key` is None.
    """
    _check_scope(signature, region, services)
    _check_time(signature, now)
    key = _NO_KEY if signing_key is None else signing_key
    unsigned = None
    if signature.expires is None:
        payload_hash = _payload_hash(request) if payload_hash is None else payload_hash
    else:
        if request.body:
            raise SignatureDoesNotMatch("A request with a presigned URL may not have a body.")
        payload_hash = EMPTY_PAYLOAD_HASH
        unsigned = "X-Amz-Signature"
    if keyed_digest is not None and signature.told is not None:
        expected = keyed_digest(key, signature.told)
    else:
        expected = compute_signature(
            key,
            method=request.method,
            path=canonical_path(request.path),
            parameters=request.parameters,
            without=unsigned,
            headers=canonical_headers(request.headers, signature.signed_headers),
            signed_headers=signature.signed_headers,
            payload_hash=payload_hash,
            timestamp=signature.timestamp,
            scope=signature.scope,
        )
    matches = hmac.compare_digest(expected, signature.signature)
    if signing_key is None:
        raise UnknownAccessKey(signature.access_key_id)
    if not matches:
        raise SignatureDoesNotMatch


def _check_scope(signature: Signature, region: str, services: Collection[str]) -> None:
    scope = signature.scope
    date = signature.timestamp[:8]
    if scope.date != date:
        raise WrongScope("date", scope.date, date)
    if scope.region != region:
        raise WrongScope("region", scope.region, region)
    if scope.service not in services:
        raise WrongScope("service", scope.service, " or ".join(sorted(services)))


def _check_time(signature: Signature, now: datetime) -> None:
    age = now - signature.signed_at
    lifetime = timedelta(0, signature.expires or 0)
    if not _EARLIEST <= age <= lifetime + CLOCK_SKEW:
        raise RequestExpired(signature.signed_at, now)


def _payload_hash(request: HttpRequest) -> str:
    """The body's SHA-256.

    `UNSIGNED-PAYLOAD` and the streaming forms are S3's; no client sends them to the query and JSON protocols,
    and they would leave the parameters unsigned, so they are refused like any other wrong hash.
    """
    actual = hashlib.sha256(request.body).hexdigest()
    if any(stated.strip() != actual for stated in request.header_values("x-amz-content-sha256")):
        raise SignatureDoesNotMatch("x-amz-content-sha256 is not the SHA-256 of the request's body.")
    return actual
