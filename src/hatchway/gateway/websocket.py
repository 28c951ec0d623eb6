"""picows's WebSocket (RFC 6455), as what TLS feeds. It parses; all frames that go out are the gateway's own.

picows's own server would not tell who its client is, so its protocol is used without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from picows import WSListener, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSFrame, WSTransport

MAX_FRAME: Final = 128 * 1024
"""Bytes of payload of the largest frame taken from a client; the AWS CLI sends at most 65,000."""

MOST_AT_ONCE: Final = 192 * 1024
"""Bytes given to picows at once, whose buffer grows as long as it gets it full."""

_SMALLEST_READ_BUFFER: Final = 2048

_MOST_SPARE: Final = 16
"""Parsers kept for who comes next. One that has carried much has a buffer of some 256 KiB."""

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


class FrameEnd(Protocol):
    """Who gets the frames of a client."""

    def on_frame(self, frame: WSFrame) -> None:
        """A whole frame. Its payload is where it is only until this returns."""


class Parsers:
    """picows's parsers, which tunnels share.

    Most tunnels are idle most of the time, and between two frames a parser knows nothing of whose they were.
    So a tunnel has one only from the first byte of a frame to its last.

    Attributes:
        spare: those that are lent to nobody.
    """

    def __init__(self) -> None:
        self.spare: list[_Parser] = []

    def lend(self, end: FrameEnd) -> _Parser:
        """One that hands its frames to `end`."""
        parser = self.spare.pop() if self.spare else _Parser()
        parser.frames.end = end
        return parser

    def take_back(self, parser: _Parser) -> None:
        """Take one that is at the end of a frame, and has found fault with none."""
        parser.frames.end = None
        if len(self.spare) < _MOST_SPARE:
            parser.forget_close()
            self.spare.append(parser)


class WebSocketInput:
    """The bytes of one client, from the upgrade on."""

    __slots__ = ("_end", "_parser", "_parsers")

    def __init__(self, parsers: Parsers, end: FrameEnd) -> None:
        self._parsers = parsers
        self._end = end
        self._parser: _Parser | None = None

    def room(self) -> memoryview:
        """Where a client's bytes may be put."""
        parser = self._parser
        if parser is None:
            parser = self._parser = self._parsers.lend(self._end)
        return parser.offer(0)[:MOST_AT_ONCE]

    def take(self, size: int) -> int | None:
        """Hand over the frames in so many bytes, which have been put where `room` says.

        Returns:
            The code of the close frame that a fault in them calls for; None when there is none. Nothing may
            be taken after a fault.
        """
        parser = self._parser
        assert parser is not None
        frames = parser.frames
        frames.behind = size
        parser.take(size)
        fault = parser.fault
        if fault is None and not frames.behind:
            self._parser = None
            self._parsers.take_back(parser)
        return fault


class _Frames(WSListener):
    """Passes on picows's frames.

    Attributes:
        end: who gets them.
        behind: bytes behind the last one.
    """

    __slots__ = ("behind", "end")

    def __init__(self) -> None:
        self.end: FrameEnd | None = None
        self.behind = 0

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        assert self.end is not None
        self.behind = frame.tail_size
        self.end.on_frame(frame)


class _Parser:
    """One server's side of a WebSocket by picows, which has been led past the handshake.

    Attributes:
        frames: what it calls.
        offer, take: picows's own, to offer room and to take what was put there.
    """

    __slots__ = ("_protocol", "frames", "offer", "take")

    def __init__(self) -> None:
        self.frames = _Frames()
        upgraded = WSUpgradeResponseWithListener(_answer, self.frames)
        self._protocol = _server_side(lambda _request: upgraded)
        self._protocol.connection_made(_no_transport)
        self.offer: Callable[[int], memoryview] = self._protocol.get_buffer
        self.take: Callable[[int], None] = self._protocol.buffer_updated
        self.offer(0)[: len(_REQUEST)] = _REQUEST
        self.take(len(_REQUEST))

    @property
    def fault(self) -> int | None:
        """The code of the close frame that picows wanted to send, having found fault with a frame."""
        transport = self._protocol.transport
        return int(transport.close_handshake.sent.code) if transport.is_close_frame_sent else None

    def forget_close(self) -> None:
        """Be ready for another client than the one whose close frame has come."""
        if self._protocol.transport.close_handshake is not None:
            # That is kept by picows's transport, and this makes a new one. The parser itself it leaves alone.
            self._protocol.connection_made(_no_transport)


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
