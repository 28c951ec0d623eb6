"""The HTTP request that opens a WebSocket, and the answers to it (RFC 6455 section 4.2). Pure.

picows parses the bytes, with the code that later parses the frames. What it accepts is then checked here, so
that the caller can word every refusal.
"""

from __future__ import annotations

import binascii
import hashlib
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from picows.picows import _parse_http_request  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_HEAD: Final = 16 * 1024
"""Bytes of the request line and headers together."""

HEAD_END: Final = b"\r\n\r\n"

VERSION: Final = "13"
"""The version of the WebSocket protocol: the only one there is (RFC 6455 section 4.1)."""

SUBPROTOCOL_HEADER: Final = "Sec-WebSocket-Protocol"
"""The header in which a client offers subprotocols and a server chooses one (RFC 6455 section 11.3.4)."""

_WEBSOCKET: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What every WebSocket server appends to the key (RFC 6455 section 1.3)."""

_UPGRADED: Final = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
_NO_GET: Final = "The request is not a well-formed HTTP/1.1 GET."
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_SUBPROTOCOLS: Final = SUBPROTOCOL_HEADER.lower()
_MAX_USER_AGENT: Final = 1024


# Not frozen: that would double what making one costs.
@dataclass(slots=True)
class Head:
    """The request line and headers. None of it is in the repr, because a presigned URL is a credential.

    Attributes:
        path, query: the two parts of the request target, still percent-encoded.
        headers: names, in lower case, and values.
        parameters: the query's names and values if the reader has verified that they are in their canonical
            encoding: each byte but RFC 3986's unreserved characters as `%XX`; None otherwise.
    """

    path: str = field(repr=False)
    query: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    parameters: tuple[tuple[str, str], ...] | None = field(default=None, repr=False, compare=False)
    _first: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._first = dict(reversed(self.headers))

    def header(self, name: str) -> str | None:
        """The value of a header that may appear once; the first one if it appears more often."""
        return self._first.get(name)

    def lists(self, name: str, token: str) -> bool:
        """Whether a header lists this token. `token` is in lower case."""
        value = (self._first.get(name) or "").lower()
        return value == token or token in [each.strip() for each in value.split(",")]

    def offers(self, subprotocol: str) -> bool:
        """Whether the client offers this subprotocol (RFC 6455 section 11.3.4)."""
        return _SUBPROTOCOLS in self._first and any(
            subprotocol == offered.strip()
            for name, value in self.headers
            if name == _SUBPROTOCOLS
            for offered in value.split(",")
        )

    @property
    def user_agent(self) -> str:
        text = (self.header("user-agent") or "")[:_MAX_USER_AGENT]
        # Bytes that are not UTF-8 are lone surrogates in it, which no record can hold.
        return text if text.isascii() else text.encode("utf-8", "replace").decode()


class BadHandshake(Exception):
    """A request that opens no WebSocket. The message says why; `status` is the status of the answer."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(message)
        self.status = status


def read_head(raw: bytes) -> Head:
    """Read a request line and headers, without the empty line that ends them.

    Raises:
        BadHandshake: this is not an HTTP/1.1 GET request without a body.
    """
    try:
        request = _parse_http_request(raw)
    except RuntimeError:
        raise BadHandshake(_NO_GET) from None
    # picows accepts control characters in a target, even a bare line feed (RFC 9112 section 3.2).
    if not request.path or request.path.translate(None, _PRINTABLE):
        raise BadHandshake(_NO_GET)
    path, _, query = request.path.decode("ascii").partition("?")
    return Head(path, query, tuple([(name.lower(), value) for name, value in request.headers.items()]))


def websocket_key(head: Head) -> str:
    """The key of a request to upgrade to a WebSocket.

    Raises:
        BadHandshake: the request does not ask for a WebSocket, or asks for another version.
    """
    if (
        not head.lists("upgrade", "websocket")
        or not head.lists("connection", "upgrade")
        or head.header("sec-websocket-version") != VERSION
    ):
        raise BadHandshake(
            f"The request asks for no WebSocket of version {VERSION}.", HTTPStatus.UPGRADE_REQUIRED
        )
    key = head.header("sec-websocket-key") or ""
    try:
        well_formed = len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:
        well_formed = False
    if not well_formed:
        raise BadHandshake("The Sec-WebSocket-Key header is missing or not 16 bytes in base64.")
    return key


def render_upgrade(key: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The complete answer to a request with this key that gets its WebSocket (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + _WEBSOCKET, usedforsecurity=False).digest()
    accept = binascii.b2a_base64(digest, newline=False).decode()
    more = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"{_UPGRADED}Sec-WebSocket-Accept: {accept}\r\n{more}\r\n".encode()


def render_answer(status: HTTPStatus, body: bytes, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The complete answer to a request that gets no WebSocket; the connection ends with it."""
    standard = (("Content-Length", str(len(body))), ("Connection", "close"))
    more: tuple[tuple[str, str], ...] = ()
    if status is HTTPStatus.UPGRADE_REQUIRED:
        # Source: RFC 9110 section 15.5.22, RFC 6455 section 4.4.
        more = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION))
    return _render(status, (*headers, *standard, *more)) + body


def _render(status: HTTPStatus, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()
