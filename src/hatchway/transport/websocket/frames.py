"""Parses WebSocket frames (RFC 6455) with picows, which gets what TLS decrypts. Outgoing frames are made
elsewhere.

picows's own server would not reveal who its client is, so its protocol is used without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from picows import WSListener, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows import WSFrame, WSTransport

MAX_FRAME: Final = 128 * 1024
"""Bytes of payload of the largest frame accepted from a client; the AWS CLI sends at most 65,000."""

MOST_AT_ONCE: Final = 192 * 1024
"""Bytes given to picows at once; its buffer grows as long as it is filled completely."""

MOST_FRAMES: Final = 128
"""Frames handed over at once. The smallest have six bytes, so one read may contain thirty thousand."""

_FINAL_BINARY: Final = 0x82
"""The first byte of a final BINARY frame (RFC 6455 section 5.2)."""

_BINARY: Final = 2
"""The highest opcode of frames that carry data (RFC 6455 section 5.2)."""

_CLOSE_WITH_CODE: Final = b"\x88\x82"
_CLOSE_WITHOUT: Final = b"\x88\x80"
"""The first bytes of a client's close frames without a reason; their key and perhaps a code follow."""

_SMALLEST_READ_BUFFER: Final = 2048

_MOST_SPARE: Final = 16
"""Parsers kept for the next clients. One that has carried much has a buffer of about 256 KiB."""

_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""What picows gets as each client's request. The actual request has been answered already."""

_answer: Final = WSUpgradeResponse.create_101_response()
"""What picows is told to answer; it is discarded."""


class _QuietLogger:
    """Discards picows's log: it logs each connection several times, and what clients send. The server has its
    own events."""

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - the name that logging gives it
        return False

    def log(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing."""

    debug = info = warning = error = exception = log


_quiet: Final = _QuietLogger()


class _NoSocket:
    """What picows uses as the client's socket, to set options that are set already."""

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *_option: object) -> None: ...

    def getsockopt(self, *_option: object) -> int:
        return 0


_no_socket: Final = _NoSocket()


class _NoTransport:
    """What picows uses as the client's transport: what it writes goes nowhere.

    picows looks at a frame before it hands over the previous one. If the frame is wrong, it writes a close
    frame at once, ahead of the answers to the frames before, even to the client's own close frame. So
    `connection` writes all frames, and this one in its turn.
    """

    def get_extra_info(self, _name: str) -> _NoSocket:
        return _no_socket

    def get_write_buffer_size(
        self,
    ) -> int:  # pragma: no cover (called without TLS only)
        return 0

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


_no_transport: Final = _NoTransport()


def binary_header(size: int) -> bytes:
    """The header of a server's final frame with so many bytes of payload (RFC 6455 section 5.2)."""
    if size < 126:
        return bytes((_FINAL_BINARY, size))
    if size < 1 << 16:
        return bytes((_FINAL_BINARY, 126)) + size.to_bytes(2)
    return bytes((_FINAL_BINARY, 127)) + size.to_bytes(8)


def lone_close_code(data: bytes) -> int | None:
    """The code of a close frame without a reason, 1000 if it has none, if that frame is all that has come
    (RFC 6455 section 5.5.1); None for anything else, and for a code that is not allowed (section 7.4)."""
    if data[:2] == _CLOSE_WITH_CODE and len(data) == 8:
        code = (data[2] ^ data[6]) << 8 | (data[3] ^ data[7])
        return code if 1000 <= code <= 1003 or 3000 <= code <= 4999 else None
    return 1000 if data[:2] == _CLOSE_WITHOUT and len(data) == 6 else None


class FrameHandler(Protocol):
    """Gets the frames of a client."""

    def on_frame(self, frame: WSFrame) -> None:
        """A whole frame. Its payload stays where it is until `on_frames_end` returns."""

    def on_frames_end(self) -> None:
        """All frames of this read have been handed over."""


class Parsers:
    """picows's parsers, shared by connections.

    Most connections are idle most of the time, and between two frames a parser does not remember whose they
    were. So a connection has a parser only from the first byte of a frame to its last.

    Attributes:
        spare: parsers that nobody has borrowed.
    """

    def __init__(self) -> None:
        self.spare: list[_Parser] = []

    def lend(self, end: FrameHandler) -> _Parser:
        """A parser that hands its frames to `end`."""
        parser = self.spare.pop() if self.spare else _Parser()
        parser.frames.end = end
        return parser

    def take_back(self, parser: _Parser) -> None:
        """Take back a parser that is at the end of a frame and has found no fault."""
        parser.frames.end = None
        if len(self.spare) < _MOST_SPARE:
            parser.forget_close()
            self.spare.append(parser)


class WebSocketInput:
    """The bytes of one client after the upgrade.

    Attributes:
        behind: whether frames wait to be handed over by `go_on`. Until then `room` must not be used.
        frames: how many the last call handed over.
    """

    __slots__ = ("_ahead", "_end", "_parser", "_parsers", "_rest", "behind", "frames")

    def __init__(self, parsers: Parsers, end: FrameHandler) -> None:
        self._parsers = parsers
        self._end = end
        self._parser: _Parser | None = None
        # Bytes to come before the next frame begins, and what waits: frames, or the beginning of a header.
        self._ahead = 0
        self._rest: memoryview | None = None
        self.behind = False
        self.frames = 0

    @property
    def is_busy(self) -> bool:
        """Whether a frame has begun, or waits."""
        return self._parser is not None or self._rest is not None

    def room(self) -> memoryview:
        """Where a client's bytes may be put."""
        room, rest = self._lent().offer(0)[:MOST_AT_ONCE], self._rest
        if rest is None:
            return room
        room[: len(rest)] = rest
        return room[len(rest) :]

    def take(self, size: int) -> int | None:
        """Hand over the first frames in so many bytes, which have been put where `room` says.

        Returns:
            The code of the close frame if there is a fault in them; None if there is none. Nothing may be
            taken after a fault.

        Raises:
            Exception: what the handler has raised. Nothing may be taken after that either.
        """
        if self._rest is not None:
            size += len(self._rest)
        room = self._lent().offer(0)
        cut = self._measure(room, size)
        self._rest = memoryview(bytes(room[cut:size])) if cut < size else None
        return self._parse(cut)

    def give(self, data: bytes) -> None:
        """Have `go_on` hand over these bytes."""
        self._rest = memoryview(data) if data else None
        self.behind = bool(data)

    def go_on(self) -> int | None:
        """Hand over the next frames of those that wait; returns what `take` does."""
        rest = self._rest
        assert rest is not None
        room = self._lent().offer(0)
        size = min(len(rest), len(room))
        cut = self._measure(rest, size)
        room[:cut] = rest[:cut]
        self._rest = rest[cut:] if cut < len(rest) else None
        self.behind = self.behind or size < len(rest)
        return self._parse(cut)

    def _lent(self) -> _Parser:
        parser = self._parser
        if parser is None:
            parser = self._parser = self._parsers.lend(self._end)
        return parser

    def _measure(self, data: memoryview, size: int) -> int:
        """How many of so many bytes to parse: at most `MOST_FRAMES` frames, and no part of a header."""
        at, left = self._ahead, MOST_FRAMES
        while at < size and left and at + 2 <= size:
            length = data[at + 1] & 0x7F
            if length < 126:
                at += 6 + length
            elif at + (4 if length == 126 else 10) > size:
                if data[at] & 0xF > _BINARY or not data[at + 1] & 0x80:
                    # These bytes are invalid, whatever follows.
                    at = size
                break
            elif length == 126:
                at += 8 + (data[at + 2] << 8 | data[at + 3])
            else:
                at += 14 + int.from_bytes(data[at + 2 : at + 10])
            left -= 1
        self.frames = MOST_FRAMES - left
        # An incomplete header has to wait for the rest.
        self.behind = at < size and not left
        self._ahead = max(0, at - size)
        return min(at, size)

    def _parse(self, size: int) -> int | None:
        parser = self._parser
        assert parser is not None
        if size:
            parser.take(size)
        if parser.frames.problem is not None:
            self.behind = False
            raise parser.frames.problem
        fault = parser.fault
        if fault is not None:
            self.behind = False
        elif not self._ahead and self._rest is None:
            self._parser = None
            self._parsers.take_back(parser)
        return fault


class _Frames(WSListener):
    """Passes on picows's frames.

    Attributes:
        end: the handler that gets them.
        problem: what `end` has raised, which picows considers the client's fault; None if it has raised
            nothing.
    """

    __slots__ = ("end", "problem")

    def __init__(self) -> None:
        self.end: FrameHandler | None = None
        self.problem: Exception | None = None

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        end = self.end
        assert end is not None
        try:
            end.on_frame(frame)
            # picows moves what follows to the place of these frames, but not before this returns.
            if frame.last_in_buffer:
                end.on_frames_end()
        except Exception as problem:
            self.problem = problem
            raise


class _Parser:
    """One server's side of a WebSocket in picows, made to skip the handshake.

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
        """The code of the close frame that picows wanted to send because a frame is wrong."""
        transport = self._protocol.transport
        return int(transport.close_handshake.sent.code) if transport.is_close_frame_sent else None

    def forget_close(self) -> None:
        """Be ready for another client, after the close frame of the previous one."""
        if self._protocol.transport.close_handshake is not None:
            # picows's transport keeps that, and this makes a new transport. It does not touch the parser
            # itself.
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
