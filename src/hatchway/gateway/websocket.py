"""picows's WebSocket (RFC 6455), as what TLS feeds. It parses; all frames that go out are the gateway's own.

picows's own server would not tell who its client is, so its protocol is used without it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from hatchway.gateway.handshake import REQUEST_ID_HEADER

if TYPE_CHECKING:
    from picows import WSListener, WSTransport

MAX_FRAME: Final = 128 * 1024
"""Bytes of payload of the largest frame taken from a client; the AWS CLI sends at most 65,000."""

READ_AT_ONCE: Final = 128 * 1024
"""Bytes taken from TLS at once: more than it gets at once, so that it keeps none."""

_SMALLEST_READ_BUFFER: Final = 2048

_CANONICAL_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)
"""What picows is told that the client asked for, once the gateway has judged what it really asked for."""


class Owner(Protocol):
    """Whose connection it is."""

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be taken."""

    def filled_to_the_brim(self) -> None:
        """As many bytes came as were asked for: TLS may keep more."""

    def notice_violation(self) -> None:
        """picows has taken bytes, and may have found fault with a frame."""

    def connection_lost(self, exc: Exception | None) -> None: ...


class _QuietLogger:
    """picows logs each connection several times, and what clients send; the gateway has its own events."""

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - the name that logging gives it
        return False

    def log(self, *_args: object, **_kwargs: object) -> None:
        """Say nothing."""

    debug = info = warning = error = exception = log


_quiet: Final = _QuietLogger()


class _PicowsTransport:
    """What picows takes for the client's transport: it lets the answer to the request through, and no frame.

    picows looks at a frame before it hands over the one before it. When that one is wrong it writes a close
    frame at once, ahead of what is to be answered to those before, be it the client's own close frame. So the
    gateway writes all frames itself, and that one in its turn.
    """

    __slots__ = ("_tls", "get_extra_info", "get_write_buffer_size")

    def __init__(self, tls: asyncio.Transport) -> None:
        self._tls = tls
        self.get_extra_info = tls.get_extra_info
        self.get_write_buffer_size = tls.get_write_buffer_size

    def write(self, data: bytes) -> None:
        if data.startswith(b"HTTP/"):
            self._tls.write(data)

    def close(self) -> None:
        """The gateway closes when it has written its close frame."""


class WebSocketInput(asyncio.BaseProtocol):
    """Feeds picows from TLS."""

    __slots__ = ("_answer", "_offer", "_offered", "_owner", "_take", "transport")

    def __init__(self, owner: Owner, tls: asyncio.Transport, listener: WSListener, request_id: str) -> None:
        """`listener` gets the frames, `request_id` is part of the answer to the request."""
        answer = self._answer = WSUpgradeResponse.create_101_response({REQUEST_ID_HEADER: request_id})
        websocket = _server_side(lambda _request: WSUpgradeResponseWithListener(answer, listener))
        websocket.connection_made(_PicowsTransport(tls))
        self.transport: WSTransport = websocket.transport
        self._owner = owner
        self._take = websocket.buffer_updated
        self._offer = websocket.get_buffer
        self._offered = 0

    def begin(self, key: str, received: bytes) -> None:
        """Answer 101, and hand over the frames that have come already."""
        self._feed(_CANONICAL_REQUEST % key.encode() + received)
        # picows keeps both for as long as the tunnel lasts, and nobody asks for them again.
        self.transport.request.headers.clear()
        self._answer.headers.clear()

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and not self._owner.closing:
            buffer = self._offer(0)
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            self._take(size)
            self._owner.notice_violation()
            rest = rest[size:]

    def get_buffer(self, _size_hint: int) -> memoryview:
        buffer: memoryview = self._offer(0)
        if len(buffer) > READ_AT_ONCE:
            buffer = buffer[:READ_AT_ONCE]
        self._offered = len(buffer)
        return buffer

    def buffer_updated(self, size: int) -> None:
        if size == self._offered:
            self._owner.filled_to_the_brim()
        self._take(size)
        self._owner.notice_violation()

    def eof_received(self) -> None:
        """TLS closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._owner.connection_lost(exc)


def _server_side(listener_factory: Any) -> Any:
    """picows's own protocol for one connection."""
    return WSProtocol(
        None,  # host and port, of a client
        None,  # path, of a client
        False,  # is a client
        listener_factory,
        _quiet,
        True,  # disconnect on exception
        None,  # handshake timeout: the handshake is over
        False,  # automatic ping
        20.0,
        20.0,
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # automatic pong: its answers would pile up for a client that does not read
        MAX_FRAME,
        None,  # extra headers, of a client
        _SMALLEST_READ_BUFFER,
    )
