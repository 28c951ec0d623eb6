"""The client's side: signing requests and presigning URLs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from hatchway.sigv4.canonical import (
    ALGORITHM,
    EMPTY_PAYLOAD_HASH,
    canonical_headers,
    canonical_path,
    compute_signature,
    percent_encode,
)
from hatchway.sigv4.keys import Scope, derive_signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Protocol

    class Signable(Protocol):
        """What is signed of a request: an `HttpRequest` has it."""

        @property
        def method(self) -> str: ...
        @property
        def path(self) -> str: ...
        @property
        def parameters(self) -> Sequence[tuple[str, str]]: ...
        @property
        def headers(self) -> tuple[tuple[str, str], ...]: ...
        @property
        def body(self) -> bytes: ...


_CHANGED_ON_THE_WAY = {
    "connection",
    "expect",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
}
"""Headers that proxies and HTTP libraries touch, and that are therefore not signed."""


def sign_headers(
    request: Signable,
    *,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    region: str,
    service: str,
    now: datetime,
) -> tuple[tuple[str, str], ...]:
    """The headers to add to `request`, which must have its `Host` header already and no others of these.

    Args:
        now: an aware datetime in UTC.
    """
    timestamp = f"{now:%Y%m%dT%H%M%SZ}"
    scope = Scope(timestamp[:8], region, service)
    added = [("X-Amz-Date", timestamp)]
    if session_token is not None:
        added.append(("X-Amz-Security-Token", session_token))
    headers = (*request.headers, *added)
    signed_headers = tuple(sorted({name.lower() for name, _ in headers} - _CHANGED_ON_THE_WAY))
    signature = compute_signature(
        derive_signing_key(secret_access_key, scope.date, region, service),
        method=request.method,
        path=canonical_path(request.path),
        parameters=request.parameters,
        headers=canonical_headers(headers, signed_headers),
        signed_headers=signed_headers,
        payload_hash=hashlib.sha256(request.body).hexdigest(),
        timestamp=timestamp,
        scope=scope,
    )
    authorization = (
        f"{ALGORITHM} Credential={access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(signed_headers)}, Signature={signature}"
    )
    return (*added, ("Authorization", authorization))


def presign(
    host: str,
    path: str,
    params: Mapping[str, str],
    *,
    access_key_id: str,
    secret_access_key: str,
    session_token: str | None = None,
    region: str,
    service: str,
    now: datetime,
    expires: int,
) -> str:
    """The request target (path and query) of a presigned GET.

    Args:
        host: the `Host` header that the request will carry: with the port when it is not the scheme's own.
        path: percent-encoded already.
        params: not encoded; they come first in the query, in their order.
        now: an aware datetime in UTC.
        expires: seconds for which the URL is good, 1 to 604,800.
    """
    timestamp = f"{now:%Y%m%dT%H%M%SZ}"
    scope = Scope(timestamp[:8], region, service)
    parameters = {
        **params,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": f"{access_key_id}/{scope}",
        "X-Amz-Date": timestamp,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": "host",
    }
    if session_token is not None:
        parameters["X-Amz-Security-Token"] = session_token
    pairs = [(percent_encode(name), percent_encode(value)) for name, value in parameters.items()]
    signature = compute_signature(
        derive_signing_key(secret_access_key, scope.date, region, service),
        method="GET",
        path=canonical_path(path),
        parameters=pairs,
        headers=canonical_headers([("host", host)], ("host",)),
        signed_headers=("host",),
        payload_hash=EMPTY_PAYLOAD_HASH,
        timestamp=timestamp,
        scope=scope,
    )
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return f"{path}?{query}&X-Amz-Signature={signature}"
