"""The answers to a request for a WebSocket."""

import pytest

from hatchway.gateway.handshake import BadHandshake, read_head, render_upgrade


def test_the_answer_has_what_rfc_6455_says_that_the_key_asks_for() -> None:
    # The key and the answer to it are those of the RFC's section 1.3.
    head, _, rest = render_upgrade("dGhlIHNhbXBsZSBub25jZQ==", "an-id").partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    assert status == b"HTTP/1.1 101 Switching Protocols"
    assert dict(header.split(b": ") for header in headers) == {
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        b"x-amzn-requestid": b"an-id",
    }
    assert rest == b""


@pytest.mark.parametrize("target", [b"/open\nTunnel", b"/openTunnel?\0", b"/\x7f", b"/\t", b"/\xc3\xa9"])
def test_a_target_holds_characters_of_a_url_alone(target: bytes) -> None:
    with pytest.raises(BadHandshake, match="well-formed"):
        read_head(b"GET %b HTTP/1.1\r\nHost: gateway" % target)
