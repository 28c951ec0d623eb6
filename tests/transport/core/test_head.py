"""Heads that the core reads, it reads as Python does; all others it leaves to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st
from tests.transport.compiled import needs_core

from hatchway.sigv4.query import query_pairs
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.core_connection import read_usual_head
from hatchway.transport.websocket.handshake import BadHandshake, Head, read_head

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_core

USUAL = (
    b"GET /openTunnel?instanceConnectEndpointId=eice-0123456789abcdef0&remotePort=22"
    b"&privateIpAddress=fd00%3A%3A1&X-Amz-Credential=AKIAALICEALICEALICE0%2F20261124%2Fus-east-1 HTTP/1.1\r\n"
    b"Host: gateway.hatchway.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nUser-Agent:  aws-cli/2.36 "
)
PIECES = (
    b"GET ",
    b"POST ",
    b"/",
    b"/a?",
    b"?",
    b"&",
    b"=",
    b"%41",
    b"%2F",
    b"%2f",
    b"%",
    b" HTTP/1.1",
    b" HTTP/1.0",
    b" ",
    b"\t",
    b"\r\n",
    b"\n",
    b"\r",
    b":",
    b": ",
    b"Host",
    b"a",
    b"A-b",
    b"Content-Length",
    b"Transfer-Encoding",
    b"0",
    b"chunked",
    b"\0",
    b"\x7f",
    b"\xc3\xa9",
    b"\xff",
    b"x" * 64,
    b"x" * 65,
    b",",
    b"(",
    b'"',
    b"~!#$%&'*+-.^_`|",
)

heads = (
    st.binary()
    | st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)
    | st.builds(
        lambda at, size, piece: USUAL[:at] + piece + USUAL[at + size :],
        st.integers(0, len(USUAL)),
        st.integers(0, 3),
        st.sampled_from(PIECES) | st.binary(max_size=3),
    )
)


def outcome(read: Callable[[bytes], Head], raw: bytes) -> Head | tuple[str, object]:
    try:
        return read(raw)
    except BadHandshake as bad:
        return str(bad), bad.status


@given(heads)
@example(USUAL)
@example(USUAL + b"\r\nX: y" * 27)
@example(USUAL + b"\r\nX: y" * 130)
@example(USUAL + b"\r\nContent-Length: 0")
@example(USUAL + b"\r\nContent-Length: 5")
@example(USUAL + b"\r\nTransfer-Encoding: chunked")
@example(USUAL + b"\r\nA: b\r\n c")
@example(USUAL.replace(b"\r\n", b"\n"))
@example(b"GET /" + b"?a=b" * 4000 + b" HTTP/1.1")
def test_a_head_is_the_same_whoever_reads_it_and_so_is_what_is_wrong_with_it(raw: bytes) -> None:
    ours, pythons = outcome(read_usual_head, raw), outcome(read_head, raw)
    assert ours == pythons
    if isinstance(ours, Head) and isinstance(pythons, Head):
        assert (ours.user_agent, ours.header("host")) == (pythons.user_agent, pythons.header("host"))
        assert ours.parameters in (None, tuple(query_pairs(ours.query)))


CANONICAL = st.text(max_size=6).map(lambda text: quote(text, safe=""))


@given(st.lists(st.tuples(CANONICAL, CANONICAL), min_size=1, max_size=32))
def test_parameters_in_canonical_encoding_are_read_with_the_head(pairs: list[tuple[str, str]]) -> None:
    query = "&".join([f"{name}={value}" for name, value in pairs])
    assert read_usual_head(f"GET /a?{query} HTTP/1.1".encode()).parameters == tuple(pairs)


@given(st.text("aZ09-._~%2F4d&=+/?!'\"", max_size=12))
@example("a=%2F")
@example("a=%41")
@example("a=%2f")
@example("a=b&")
@example("a=b&&c=d")
@example("a=b=c")
@example("&".join(["a=b"] * 33))
def test_parameters_are_told_where_they_are_canonical_and_few_and_else_not(query: str) -> None:
    head = read_usual_head(f"GET /a?{query} HTTP/1.1".encode())
    pairs = query_pairs(query)
    canonical = "&".join([f"{name}={value}" for name, value in pairs]) == query and 0 < len(pairs) <= 32
    assert head.parameters == (tuple(pairs) if canonical else None)


def test_what_clients_send_is_the_cores_to_read() -> None:
    assert CORE is not None
    read = CORE.read_head(USUAL)
    assert read is not None
    path, query, headers, parameters = read
    assert path == "/openTunnel"
    assert parameters == tuple(query_pairs(query))
    assert headers[-1] == ("user-agent", "aws-cli/2.36")
    assert all(re.fullmatch("[a-z-]+", name) for name, _ in headers)
