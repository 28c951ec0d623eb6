"""Signature Version 4 as AWS's guide tells it, step by step and as slowly as it may be.

IAM User Guide, "Create a signed AWS API request", for services other than S3.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hatchway.sigv4.errors import (
    IncompleteSignature,
    RequestExpired,
    SignatureDoesNotMatch,
    SignatureError,
    WrongScope,
)
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.verification import CLOCK_SKEW, verify
from hatchway.transport.core.loading import CORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fuzz.draws import Draws
    from hatchway.sigv4.signature import Signature

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)
REGION = "us-east-1"
SERVICE = "ec2-instance-connect"
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


def judge(request: HttpRequest, signature: Signature, now: datetime) -> bool:
    """Whether the request is accepted, which it is if and only if the guide's steps say so."""
    scope = signature.scope
    key = derive_signing_key(SECRET, scope.date, scope.region, scope.service)
    known = signature.access_key_id == ACCESS_KEY
    # Presigned URLs are the gateways', which have the core.
    by_core = None if CORE is None or signature.expires is None else CORE.keyed_digest
    try:
        verify(
            request,
            signature,
            key if known else None,
            now=now,
            region=REGION,
            services={SERVICE},
            keyed_digest=by_core,
        )
    except WrongScope:
        assert (scope.date, scope.region, scope.service) != (signature.timestamp[:8], REGION, SERVICE)
        return False
    except RequestExpired:
        lifetime = timedelta(seconds=signature.expires or 0) or CLOCK_SKEW
        assert not signature.signed_at - CLOCK_SKEW <= now <= signature.signed_at + lifetime
        return False
    except IncompleteSignature:
        assert "host" not in signature.signed_headers or any(
            name.lower().startswith("x-amz-") and name.lower() not in signature.signed_headers
            for name, _ in request.headers
        )
        return False
    except SignatureDoesNotMatch:
        assert expected_signature(request, signature) != signature.signature
        return False
    except SignatureError:
        assert not known
        return False
    assert known
    assert expected_signature(request, signature) == signature.signature
    assert abs(now - signature.signed_at) <= CLOCK_SKEW + timedelta(seconds=signature.expires or 0)
    return True


def expected_signature(request: HttpRequest, signature: Signature) -> str | None:
    """The signature that belongs to the request, None if none does."""
    headers = []
    for name in signature.signed_headers:
        values = [" ".join(value.split()) for given, value in request.headers if given.lower() == name]
        if not values or (name == "host" and len(values) > 1):
            return None
        headers.append(f"{name}:{','.join(values)}\n")
    pairs = _pairs(request.query)
    if signature.expires is None:
        payload = hashlib.sha256(request.body).hexdigest()
        if any(value.strip() != payload for value in request.header_values("x-amz-content-sha256")):
            return None
    else:
        if request.body:
            return None
        payload = hashlib.sha256(b"").hexdigest()
        pairs = [pair for pair in pairs if pair[0] != "X-Amz-Signature"]
    canonical = "\n".join(
        [
            request.method,
            _path(request.path),
            "&".join(f"{name}={value}" for name, value in sorted(pairs)),
            "".join(headers),
            ";".join(signature.signed_headers),
            payload,
        ]
    )
    scope = signature.scope
    terms = (scope.date, scope.region, scope.service, "aws4_request")
    digest = hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", signature.timestamp, "/".join(terms), digest])
    key = b"AWS4" + SECRET.encode()
    for term in (*terms, to_sign):
        key = hmac.new(key, term.encode(), "sha256").digest()
    return key.hex()


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if part:
            pairs.append((_recoded(name), _recoded(value)))
    return pairs


def _recoded(text: str) -> str:
    octets = bytearray()
    left = text.encode("utf-8", "surrogatepass")
    while left:
        size = 1
        if (
            left[:1] == b"%"
            and len(left) > 2
            and all(byte in b"0123456789abcdefABCDEF" for byte in left[1:3])
        ):
            octets.append(int(left[1:3], 16))
            size = 3
        else:
            octets += b" " if left[:1] == b"+" else left[:1]
        left = left[size:]
    return _encoded(bytes(octets))


def _encoded(octets: bytes, safe: bytes = b"") -> str:
    return "".join(chr(byte) if byte in _UNRESERVED + safe else f"%{byte:02X}" for byte in octets)


def _path(path: str) -> str:
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment and segment != ".":
            kept.append(segment)
    normal = ("/" if path.startswith("/") else "") + "/".join(kept) + ("/" if path.endswith("/") else "")
    return _encoded(normal.encode("utf-8", "surrogatepass"), b"/") if kept else "/"


def changed(request: HttpRequest, draws: Draws) -> HttpRequest:
    """The request after somebody on the way had a hand in it; perhaps to no effect."""
    method, path, query, headers, body = (
        request.method,
        request.path,
        request.query,
        list(request.headers),
        request.body,
    )
    at = draws.below(max(1, len(headers)))
    match draws.below(10):
        case 0:
            method = draws.one_of(("GET", "POST", "get", "PUT"))
        case 1:
            path = _spliced(path, draws)
        case 2:
            query = _spliced(query, draws)
        case 3:
            query = "&".join(sorted(query.split("&"), reverse=True))
        case 4:
            query = query.replace(
                *draws.one_of((("%20", "+"), ("=", "%3D"), ("&", "&&"), ("%2F", "/"), ("%3A", "%3a")))
            )
        case 5 if headers:
            name, value = headers[at]
            headers[at] = (name, _spliced(value, draws))
        case 6 if headers:
            del headers[at]
        case 7:
            headers.insert(
                at,
                draws.one_of(
                    (("X-Amz-Extra", "1"), ("Host", "other"), ("Accept", "*/*"), ("x-amz-date", "1"))
                ),
            )
        case 8 if headers:
            name, value = headers[at]
            headers[at] = (name.upper(), f"  {value.replace(' ', '  ')} ")
        case _:
            body = draws.octets(8)
    return HttpRequest(method, path, query, tuple(headers), body)


def _spliced(text: str, draws: Draws) -> str:
    at = draws.below(len(text) + 1)
    inserted = draws.octets(4).decode("latin-1")
    return text[:at] + inserted + text[at + draws.below(3) :]


def drawn_request(
    draws: Draws, names: Sequence[str] = ("Accept", "Content-Type", "X-Amz-Target", "Date")
) -> HttpRequest:
    """A request as yet unsigned."""
    pairs = [f"{_encoded(draws.octets(6))}={_encoded(draws.octets(6))}" for _ in range(draws.below(4))]
    headers = [("Host", "api.hatchway.test:8443")]
    headers += [(draws.one_of(names), draws.octets(12).decode("latin-1")) for _ in range(draws.below(4))]
    path = "/" + "/".join(
        draws.one_of(("a", "..", "", ".", "%2F", "b c", "é")) for _ in range(draws.below(4))
    )
    return HttpRequest(draws.one_of(("POST", "GET")), path, "&".join(pairs), tuple(headers), draws.octets(20))


def drawn_now(draws: Draws) -> datetime:
    return NOW + timedelta(
        seconds=draws.one_of((0, 0, 0, 1, 59, 60, 61, 299, 300, 301, 359, 361, -299, -301, 86_400))
    )
