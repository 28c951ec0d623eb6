"""Presigned URLs, made by botocore and by `presign`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import Signature, read_query_signature
from hatchway.sigv4.signing import presign
from hatchway.sigv4.verification import verify

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"


SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


NOW = datetime(2026, 11, 24, 6, 17, 23, tzinfo=UTC)


HOST = "office.gateway.example.net"


PARAMS = {
    "instanceConnectEndpointId": "eice-0123456789abcdef0",
    "remotePort": "22",
    "privateIpAddress": "10.0.1.1",
    "maxTunnelDuration": "600",
}


def target(params: dict[str, str] = PARAMS, path: str = "/openTunnel", **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "access_key_id": ACCESS_KEY,
        "secret_access_key": SECRET,
        "region": "us-east-1",
        "service": "ec2-instance-connect",
        "now": NOW,
        "expires": 60,
        **changes,
    }
    return presign(HOST, path, params, **arguments)


def get(
    target: str, host: str = HOST, headers: tuple[tuple[str, str], ...] = (), body: bytes = b""
) -> HttpRequest:
    path, _, query = target.partition("?")
    upgrade = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("User-Agent", "aws-cli/2.36"))
    return HttpRequest("GET", path, query, (("Host", host), *upgrade, *headers), body)


def check(request: HttpRequest, *, now: datetime = NOW) -> Signature:
    signature = read_query_signature(request)
    scope = signature.scope
    key = derive_signing_key(SECRET, scope.date, scope.region, scope.service)
    verify(request, signature, key, now=now, region="us-east-1", services=("ec2-instance-connect",))
    return signature


def without(parameter: str) -> HttpRequest:
    path, _, query = target().partition("?")
    return get(path + "?" + "&".join(p for p in query.split("&") if not p.startswith(parameter + "=")))


def botocore_target(unsigned: str, token: str | None = None) -> str:
    request = AWSRequest(method="GET", url=unsigned)
    with patch("botocore.auth.get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        SigV4QueryAuth(
            Credentials(ACCESS_KEY, SECRET, token), "ec2-instance-connect", "us-east-1", expires=60
        ).add_auth(request)
    url: str = request.url
    return "/" + url.split("/", 3)[3]
