"""picows's WebSocket (RFC 6455), as what TLS feeds. It parses; all frames that go out are the gateway's own.

picows's own server would not tell who its client is, so its protocol is used without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSListener, WSTransport

MAX_FRAME: Final = 128 * 1024
"""Bytes of payload of the largest frame taken from a client; the AWS CLI sends at most 65,000."""

MOST_AT_ONCE: Final = 128 * 1024
"""Bytes given to picows at once, whose buffer grows as long as it gets it full."""

_SMALLEST_READ_BUFFER: Final = 2048

_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""What picows is told that each client asked for. What it really did, the gateway has judged and answered."""

_answer: Final = WSUpgradeResponse.create_101_response()
"""What picows is told to answer, which goes nowhere."""


class _QuietLogger:
    """picows logs each connection several times, and what clients send; the gateway has its own events."""

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - the name that logging gives it
        return False

    def log(self, *_args: object, **_kwargs: object) -> None:
        """Say nothing."""

    debug = info = warning = error = exception = log


_quiet: Final = _QuietLogger()


class _NoSocket:
    """What picows takes for the client's socket, to set options that are set already."""

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_option: object) -> None: ...

    def getsockopt(self, *_option: object) -> int:
        return 0


_no_socket: Final = _NoSocket()


class _NoTransport:
    """What picows takes for the client's transport: nothing that it writes goes anywhere.

    picows looks at a frame before it hands over the one before it. When that one is wrong it writes a close
    frame at once, ahead of what is to be answered to those before, be it the client's own close frame. So the
    gateway writes all frames itself, and that one in its turn.
    """

    def get_extra_info(self, _name: str) -> _NoSocket:
        return _no_socket

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


_no_transport: Final = _NoTransport()


class WebSocketInput:
    """Feeds picows.

    Attributes:
        take: hands over the frames in so many bytes, which have been put where `room` says.
    """

    __slots__ = ("_offer", "_transport", "take")

    def __init__(self, listener: WSListener) -> None:
        """`listener` gets the frames."""
        websocket = _server_side(lambda _request: WSUpgradeResponseWithListener(_answer, listener))
        websocket.connection_made(_no_transport)
        self._transport: WSTransport = websocket.transport
        self._offer: Callable[[int], memoryview] = websocket.get_buffer
        self.take: Callable[[int], None] = websocket.buffer_updated
        self._offer(0)[: len(_REQUEST)] = _REQUEST
        self.take(len(_REQUEST))
        # picows keeps it for as long as the tunnel lasts, and nobody asks for it again.
        self._transport.request.headers.clear()

    def room(self) -> memoryview:
        """Where a client's bytes may be put."""
        return self._offer(0)[:MOST_AT_ONCE]

    @property
    def violation(self) -> int | None:
        """The code of the close frame that picows wanted to send, having found fault with a frame."""
        if not self._transport.is_close_frame_sent:
            return None
        return int(self._transport.close_handshake.sent.code)  # type: ignore[union-attr, arg-type]


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
