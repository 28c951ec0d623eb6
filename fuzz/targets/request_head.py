"""The request that opens a tunnel: its head beside a slow reader, its parameters read back, refusals."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from fuzz.draws import Draws, noise
from hatchway.domain.tunnel_protocol import USUAL_DURATION
from hatchway.gateway.admission.refusal import (
    REQUEST_ID_HEADER,
    bad_request,
    handshake_refused,
    render_refusal,
)
from hatchway.gateway.admission.request import BadParameter, read_tunnel_request
from hatchway.sigv4.query import query_pairs
from hatchway.sigv4.request import HttpRequest
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.core_connection import read_usual_head
from hatchway.transport.websocket.handshake import (
    MAX_HEAD,
    BadHandshake,
    Head,
    read_head,
    render_upgrade,
    websocket_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LINE = re.compile(rb"GET ([!-~]+) HTTP/1\.1")
_FIELD = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)[ \t]*"
)
_REQUEST_ID = "b6a1f0c2-1111-4222-8333-444455556666"


def one_input(data: bytes) -> None:
    draws = Draws(data)
    raw = draws.rest() if draws.chance(2) else _drawn_head(draws)
    raw = raw.partition(b"\r\n\r\n")[0][:MAX_HEAD]
    expected = _obvious(raw)
    try:
        head = read_head(raw)
    except BadHandshake as bad:
        assert expected is None, expected
        assert CORE is None or CORE.read_head(raw) is None
        assert len(render_refusal(handshake_refused(bad), _REQUEST_ID)) < 2048
        return
    assert expected == (f"{head.path}?{head.query}".removesuffix("?"), head.headers), (expected, head)
    by_core = read_usual_head(raw)
    assert by_core == head
    assert by_core.parameters in (None, tuple(query_pairs(head.query)))
    assert len(head.user_agent.encode()) <= 4 * 1024
    _upgrade(head)
    _parameters(head)


def _upgrade(head: Head) -> None:
    try:
        answer = render_upgrade(websocket_key(head), ((REQUEST_ID_HEADER, _REQUEST_ID),))
    except BadHandshake as bad:
        answer = render_refusal(handshake_refused(bad), _REQUEST_ID)
    assert answer.count(b"\r\n\r\n") == 1
    assert len(answer) < 2048


def _parameters(head: Head) -> None:
    request = HttpRequest("GET", head.path, head.query, head.headers)
    try:
        asked = read_tunnel_request(request.parameters, USUAL_DURATION)
    except BadParameter as bad:
        answer = render_refusal(bad_request(bad.problem), _REQUEST_ID)
        assert answer.isascii()
        assert len(answer) < 2048
        assert len(bad.parameter) <= 64
        return
    # A slow reader finds the same, save for another spelling of the address.
    found = dict(parse_qsl(head.query, keep_blank_values=True))
    assert found["instanceConnectEndpointId"] == asked.endpoint_id
    assert found["remotePort"] == str(asked.remote_port)
    assert found.get("maxTunnelDuration", "3600") == str(asked.max_duration)
    again = HttpRequest("GET", "/openTunnel", _query(found | {"privateIpAddress": asked.private_ip}), ())
    assert read_tunnel_request(again.parameters, USUAL_DURATION) == asked


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items())


def _obvious(raw: bytes) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Target and headers of a GET without a body (RFC 9112 sections 3 and 5), or None."""
    first, *lines = raw.split(b"\r\n")
    line = _LINE.fullmatch(first)
    fields = [_FIELD.fullmatch(one) for one in lines]
    if line is None or len(lines) > 128:
        return None
    headers = []
    for one in fields:
        if one is None:
            return None
        headers.append((one[1].decode().lower(), one[2].decode("ascii", "surrogateescape")))
    lengths = [value for name, value in headers if name == "content-length"]
    if any(name == "transfer-encoding" for name, _ in headers) or len(lengths) > 1:
        return None
    if lengths and not re.fullmatch("0+", lengths[0]):
        return None
    return line[1].decode().removesuffix("?"), tuple(headers)


def _drawn_head(draws: Draws) -> bytes:
    names = ["instanceConnectEndpointId", "remotePort", "privateIpAddress", "maxTunnelDuration", "X-Amz-Date"]
    values = [
        "eice-0123456789abcdef0",
        "22",
        "10.0.1.1",
        "600",
        "",
        "65536",
        "::ffff:10.0.1.1",
        "fd00::1",
        "fe80::1%25e",
    ]
    pairs = [
        f"{draws.one_of(names)}={draws.one_of(values)}" if draws.chance(3) else f"{name}={value}"
        for name, value in zip(names[: 3 + draws.below(3)], values, strict=False)
    ]
    lines = [
        b"GET /openTunnel?%b HTTP/1.1" % "&".join(pairs).encode() + draws.octets(6),
        b"Host: gateway.hatchway.test",
        b"Upgrade: " + draws.one_of((b"websocket", b"WebSocket, x", b"h2c")),
        b"Connection: " + draws.one_of((b"Upgrade", b"keep-alive, upgrade")),
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"User-Agent: " + draws.octets(40),
        draws.octets(60),
    ]
    return b"\r\n".join(lines[: 1 + draws.below(len(lines))])


def seeds() -> list[bytes]:
    request = (
        b"GET /openTunnel?instanceConnectEndpointId=eice-0123456789abcdef0&remotePort=22&"
        b"privateIpAddress=10.0.1.1&maxTunnelDuration=600&X-Amz-Expires=60 HTTP/1.1\r\n"
        b"Host: gateway.hatchway.test\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        b"User-Agent: aws-cli/2.36 \xc3\xa9 \xff"
    )
    heads = [
        request,
        request.replace(b"10.0.1.1", b"%3A%3Affff%3A10.0.1.1"),
        request + b"\r\nContent-Length: 0",
        request + b"\r\nContent-Length: 5",
        request + b"\r\nTransfer-Encoding: chunked",
        request + b"\r\nA: b\r\n c",
        request.replace(b"GET", b"POST"),
        request.replace(b"\r\n", b"\n"),
        request + b"\r\nX: y" * 128,
        b"GET http://gateway/ HTTP/1.1",
        b"GET /\x01? HTTP/1.1\r\nA:\t\x01",
        b"",
    ]
    return [b"\1" + head for head in heads] + noise(30)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    heads = {
        "a long target": b"GET /" + b"%41&" * size + b" HTTP/1.1",
        "a long header": b"GET / HTTP/1.1\r\nX: " + b"y, " * size,
    }

    def work(raw: bytes) -> None:
        head = read_head(raw)
        head.lists("x", "y")
        HttpRequest("GET", head.path, head.path, head.headers)

    return {what: partial(work, raw) for what, raw in heads.items()}
