"""Requests signed in their headers, by botocore and by `sign_headers`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import Signature, read_header_signature
from hatchway.sigv4.signing import sign_headers
from hatchway.sigv4.verification import verify

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"


SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)


REGION = "us-east-1"


SERVICES = ("ec2", "iam")


plain = HttpRequest(
    "POST",
    "/",
    "",
    (("Host", "api.example.net:8443"), ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")),
    b"Action=DescribeInstances&Version=2016-11-15",
)


def signed(request: HttpRequest, **changes: Any) -> HttpRequest:
    arguments: dict[str, Any] = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET,
        "region": REGION,
        "service": "ec2",
        "now": NOW,
        **changes,
    }
    return replace(request, headers=request.headers + sign_headers(request, **arguments))


def check(request: HttpRequest, *, now: datetime = NOW, secret: str = SECRET) -> Signature:
    signature = read_header_signature(request)
    scope = signature.scope
    key = derive_signing_key(secret, scope.date, scope.region, scope.service)
    verify(request, signature, key, now=now, region=REGION, services=SERVICES)
    return signature


def with_header(request: HttpRequest, name: str, value: str | None) -> HttpRequest:
    """The request with that header's value changed, or without it."""
    kept = tuple((n, v) for n, v in request.headers if n.lower() != name.lower())
    return replace(request, headers=kept if value is None else (*kept, (name, value)))


def authorization(value: str) -> HttpRequest:
    return with_header(signed(plain), "Authorization", value)


def botocore_signed(
    method: str, url: str, headers: dict[str, str], body: bytes, token: str | None = None
) -> AWSRequest:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        SigV4Auth(Credentials(ACCESS_KEY, SECRET, token), "ec2", REGION).add_auth(request)
    return request


def on_the_wire(request: AWSRequest, path: str, query: str, body: bytes) -> HttpRequest:
    headers = tuple((name, str(value)) for name, value in request.headers.items())
    return HttpRequest(request.method, path, query, (*headers, ("Host", "api.example.net")), body)
