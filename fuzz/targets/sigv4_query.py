"""Presigned URLs: accepted if and only if AWS's guide makes the same; the gateway reads what was asked."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import Draws, noise
from fuzz.signing import ACCESS_KEY, NOW, REGION, SECRET, SERVICE, changed, drawn_now, judge
from hatchway.client.api.shared_files import Credentials
from hatchway.client.discovery.request import TunnelRequest
from hatchway.client.errors import InvalidOption
from hatchway.domain.addresses import parse_address
from hatchway.domain.tunnel_protocol import LONGEST_DURATION
from hatchway.gateway.admission.request import read_tunnel_request
from hatchway.sigv4.errors import SignatureError
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_query_signature
from hatchway.sigv4.signing import presign
from hatchway.transport.core.loading import CORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatchway.sigv4.signature import Signature

HOST = "gateway.hatchway.test"
_CREDENTIALS = (Credentials(ACCESS_KEY, SECRET), Credentials(ACCESS_KEY, SECRET, "token/+= %"))


def one_input(data: bytes) -> None:
    draws = Draws(data)
    match draws.below(4):
        case 0:
            _judged(_request(draws.rest().decode("latin-1")), draws)
            return
        case 1:
            target = presign(
                HOST,
                draws.one_of(("/openTunnel", "/", "/a%2Fb/../c", "//")),
                {
                    draws.text(6).encode("utf-8", "replace").decode(): draws.octets(9).decode("latin-1")
                    for _ in range(3)
                },
                access_key_id=ACCESS_KEY,
                secret_access_key=SECRET,
                region=REGION,
                service=SERVICE,
                now=NOW,
                expires=1 + draws.below(604_800),
            )
        case _:
            asked = _asked(draws)
            if asked is None:
                return
            target = asked.presigned(draws.one_of(_CREDENTIALS), region=REGION, now=NOW)
            read = read_tunnel_request(_request(target).parameters, LONGEST_DURATION)
            assert read.endpoint_id == asked.endpoint_id
            assert parse_address(read.private_ip) == parse_address(asked.private_ip_address)
            assert read.remote_port == asked.remote_port
            assert asked.max_tunnel_duration in (None, read.max_duration)
    request = _request(target)
    assert judge(request, _read(request), NOW)
    for _ in range(1 + draws.below(2)):
        request = changed(request, draws)
    _judged(request, draws)


def _asked(draws: Draws) -> TunnelRequest | None:
    """What a user might ask of the client, if it takes it."""
    try:
        return TunnelRequest(
            endpoint_id=draws.one_of(("eice-0123456789abcdef0", "eice-é", draws.text(12))),
            dns_name=HOST,
            private_ip_address=draws.one_of(("10.0.1.1", "fd00::1", "::ffff:10.0.1.1", draws.text(16))),
            remote_port=draws.below(65_536),
            max_tunnel_duration=draws.one_of((None, 1, draws.below(LONGEST_DURATION + 100))),
        ).checked()
    except InvalidOption as refusal:
        assert len(str(refusal)) < 500
        return None


def _request(target: str) -> HttpRequest:
    path, _, query = target.partition("?")
    return HttpRequest("GET", path, query, (("host", HOST),))


def _read(request: HttpRequest) -> Signature:
    """The same whoever reads it: presigned URLs are the gateways', which have the core."""
    read = None if CORE is None else CORE.read_presigned
    try:
        pythons = read_query_signature(request)
    except SignatureError as problem:
        with suppress(SignatureError):
            raise AssertionError("read, and not by Python", read_query_signature(request, read)) from problem
        raise
    signature = read_query_signature(request, read)
    assert signature._replace(told=None) == pythons
    return signature


def _judged(request: HttpRequest, draws: Draws) -> None:
    try:
        signature = _read(request)
    except SignatureError as refusal:
        assert len(str(refusal)) < 500
        return
    assert signature.expires is not None
    assert 1 <= signature.expires <= 604_800
    judge(request, signature, drawn_now(draws))


def seeds() -> list[bytes]:
    whole = presign(
        HOST,
        "/openTunnel",
        {
            "instanceConnectEndpointId": "eice-0123456789abcdef0",
            "remotePort": "22",
            "privateIpAddress": "10.0.1.1",
        },
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET,
        session_token="token",
        region=REGION,
        service=SERVICE,
        now=NOW,
        expires=60,
    )
    texts = [
        whole,
        whole.replace("Expires=60", "Expires=604801"),
        whole.replace("%2F", "/"),
        whole + "&X-Amz-Date=20261124T061723Z",
        whole.replace("SignedHeaders=host", "SignedHeaders=host%3Bx-amz-date"),
        whole.replace("T061723Z", "T241723Z"),
        "/?X-Amz-Signature=&X-Amz-Algorithm=",
    ]
    return [b"\0" + text.encode("latin-1") for text in texts] + noise(60)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    targets = {
        "many parameters": "/?" + "&".join(f"a{n}=%2f" for n in range(size)),
        "a long path": "/a/.." * size + "?X-Amz-Signature=1",
        "a long value": "/?X-Amz-Signature=" + "%41+" * size,
    }
    return {what: partial(_judged, _request(target), Draws(b"")) for what, target in targets.items()}
