"""The answers to a request for a WebSocket."""

from http import HTTPStatus

import pytest

from hatchway.transport.websocket.handshake import (
    BadHandshake,
    read_head,
    render_answer,
    render_upgrade,
    websocket_key,
)


def test_the_answer_has_what_rfc_6455_says_that_the_key_asks_for() -> None:
    # The key and the answer to it are those of the RFC's section 1.3.
    head, _, rest = render_upgrade("dGhlIHNhbXBsZSBub25jZQ==", [("x-request-id", "an-id")]).partition(
        b"\r\n\r\n"
    )
    status, *headers = head.split(b"\r\n")
    assert status == b"HTTP/1.1 101 Switching Protocols"
    assert dict(header.split(b": ") for header in headers) == {
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"x-request-id": b"an-id",
    }
    assert rest == b""


@pytest.mark.parametrize("target", [b"/open\nTunnel", b"/openTunnel?\0", b"/\x7f", b"/\t", b"/\xc3\xa9"])
def test_a_target_holds_characters_of_a_url_alone(target: bytes) -> None:
    with pytest.raises(BadHandshake, match="well-formed"):
        read_head(b"GET %b HTTP/1.1\r\nHost: gateway" % target)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Upgrade: h2c", HTTPStatus.UPGRADE_REQUIRED),
        ("Connection: close", HTTPStatus.UPGRADE_REQUIRED),
        ("Sec-WebSocket-Version: 8", HTTPStatus.UPGRADE_REQUIRED),
        ("Sec-WebSocket-Key: AAAA", HTTPStatus.BAD_REQUEST),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", HTTPStatus.BAD_REQUEST),
    ],
)
def test_a_request_for_something_else_than_this_websocket_is_refused_as_the_rfcs_say(
    header: str, status: HTTPStatus
) -> None:
    headers = {
        "Upgrade": "websocket",
        "Connection": "keep-alive, Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }

    def key(headers: dict[str, str]) -> str:
        lines = ["GET / HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return websocket_key(read_head("\r\n".join(lines).encode()))

    assert key(headers) == "dGhlIHNhbXBsZSBub25jZQ=="
    name, _, value = header.partition(": ")
    with pytest.raises(BadHandshake) as refused:
        key(headers | {name: value})
    assert refused.value.status is status


def test_an_answer_other_than_101_ends_the_connection_and_says_which_version_is_spoken() -> None:
    head, _, body = render_answer(HTTPStatus.UPGRADE_REQUIRED, b"no", [("A", "b")]).partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    assert status == b"HTTP/1.1 426 Upgrade Required"
    assert dict(header.split(b": ") for header in headers) == {
        b"A": b"b",
        b"Content-Length": b"2",
        b"Connection": b"close",
        b"Upgrade": b"websocket",
        b"Sec-WebSocket-Version": b"13",
    }
    assert body == b"no"


def test_another_refusal_says_nothing_of_versions() -> None:
    assert render_answer(HTTPStatus.BAD_REQUEST, b"no") == (
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    )


def test_a_header_is_found_by_its_name_in_lower_case_the_first_one() -> None:
    head = read_head(b"GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: A, B\r\nUser-Agent: \xffx" + b"y" * 2000)
    assert (head.path, head.query) == ("/a", "b")
    assert head.header("host") == "x"
    assert head.header("origin") is None
    assert head.lists("accept", "a")
    assert head.lists("accept", "b")
    assert not head.lists("accept", "c")
    assert not head.lists("origin", "a")
    # A byte that is no UTF-8 cannot be recorded as it is; a length that nobody needs is cut.
    assert head.user_agent == "?x" + "y" * 1022
    assert "/a" not in repr(head)


def test_a_subprotocol_is_offered_by_its_exact_name_in_any_header_of_the_kind() -> None:
    header = b"\r\nSec-WebSocket-Protocol: "
    head = read_head(b"GET / HTTP/1.1" + header + b"chat ,a" + header + b"b")
    assert [name for name in ("chat", "a", "b", "A", "cha", "") if head.offers(name)] == ["chat", "a", "b"]
    assert not read_head(b"GET / HTTP/1.1").offers("chat")
