"""The server's side of a WebSocket connection: TLS, then an HTTP request, then frames."""

from __future__ import annotations

from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from hatchway.transport.connection.allowance import FRAME
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.connection.tls import TlsConnection
from hatchway.transport.websocket.close import PROTOCOL_ERROR, TOO_MUCH_WASTE, Closure
from hatchway.transport.websocket.frames import MAX_FRAME, FrameHandler, WebSocketInput
from hatchway.transport.websocket.handshake import (
    HEAD_END,
    MAX_HEAD,
    BadHandshake,
    Head,
    read_head,
)

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable
    from ssl import SSLContext

    from hatchway.transport.connection.readiness import Readiness
    from hatchway.transport.connection.tcp import Connection
    from hatchway.transport.core._core import Session
    from hatchway.transport.websocket.frames import Parsers

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for a client to answer a close frame, once it has acknowledged everything sent before it."""

MOST_PONGS: Final = 10
"""Pings received at once up to which each is answered."""

_TOO_BIG: Final = f"A frame may carry at most {MAX_FRAME} bytes"

# First bytes of final short frames (RFC 6455 section 5.2).
_TEXT: Final = 0x81
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A

_CLOSE_CHECK: Final = 0.25
_request: Final = memoryview(bytearray(MAX_HEAD))
"""The buffer into which the bytes of every request are decrypted. They are copied out before anything else
runs."""


class WebSocketHandler(FrameHandler, Protocol):
    """Handles a WebSocket after the upgrade: it gets the frames, and these calls."""

    def client_full(self) -> None:
        """So much waits for the client that nothing more should be sent."""

    def client_ready(self) -> None:
        """The client receives bytes again."""

    def client_at_fault(self, closure: Closure) -> None:
        """The client has broken the protocol or a limit. The close frame is to have this code and reason."""

    def close_unanswered(self) -> None:
        """The client has not answered the close frame in time."""

    def client_lost(self) -> None:
        """The connection is gone. Everything that it carried has been handed over."""


class Outlet(Protocol):
    """Where a client's data goes if not as frames."""

    @property
    def outlet(self) -> int:
        """The descriptor of the socket that takes it; or `TO_PYTHON` or `AS_FRAMES`.

        See `hatchway.transport.core.flags`.
        """

    def carried(self, size: int) -> None:
        """So many bytes of data have come. The socket has taken them, except for what `left_over` gets."""

    def left_over(self, data: bytes) -> None:
        """The last of them, which no socket has taken."""

    def client_closes(self, code: int) -> None:
        """A close frame without a reason has come after all of that. This replaces the frame."""


class WebSocketConnection(TlsConnection):
    """One client.

    Attributes:
        on_request: called once, when the request has come, even if it is to be refused (`take_head`), or when
            it will not come because the client is gone.
    """

    __slots__ = (
        "_began",
        "_close_timer",
        "_end",
        "_explanation",
        "_head",
        "_note",
        "_parsers",
        "_pongs",
        "_received",
        "_took_all",
        "_websocket",
        "on_request",
    )

    def __init__(
        self, readiness: Readiness, sock: socket.socket, tls: SSLContext | Session, parsers: Parsers
    ) -> None:
        """`sock` is non-blocking."""
        super().__init__(readiness, sock, tls)
        self._parsers = parsers
        self._received = bytearray()
        self._websocket: WebSocketInput | None = None
        self._end: WebSocketHandler | None = None
        self._pongs: list[bytes] | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._head: Head | BadHandshake | None = None
        self._began = monotonic()
        self._note = ""
        self._explanation = ""
        self._took_all = False
        self.on_request: Callable[[], None] | None = None

    # Called by the connection, here and in the subclass with the core.

    def carry_to(self, outlet: Outlet) -> None:
        """Pass data to this outlet instead of as frames, if the connection can."""

    def pair_with(self, target: Connection) -> None:
        """This is the connection to the target whose data the handler gets through `carry_out`."""

    def carry_from(self, descriptor: int) -> int | None:
        """Send the client, in frames, what can be read from this socket, if the connection can.

        Returns:
            What the core's `push` returns; None if the caller has to do it.

        Raises:
            OSError: as the socket does.
        """

    def flush(self) -> None:
        """Send what the core has encrypted for the client and could not send."""

    def room(self) -> memoryview:
        return _request if self._websocket is None else self._websocket.room()

    def on_decrypted(self, size: int) -> None:
        if self._websocket is None:
            self._take_request(_request[:size])
        else:
            self._parsed(self._websocket.take(size))

    @property
    def behind(self) -> bool:
        return self._websocket is not None and self._websocket.behind

    def go_on(self) -> None:
        assert self._websocket is not None
        self._parsed(self._websocket.go_on())

    def _parsed(self, fault: int | None) -> None:
        assert self._websocket is not None
        self.cost += self._websocket.frames * FRAME
        if fault is not None and self._end is not None:
            self._end.client_at_fault(Closure(fault, _TOO_BIG if fault == 1009 else PROTOCOL_ERROR.reason))

    def on_waste(self) -> None:
        if self._end is None:
            self.abort()
        else:
            self._end.client_at_fault(TOO_MUCH_WASTE)

    def on_full(self) -> None:
        # What is written before the upgrade is short.
        if self._end is not None:
            self._end.client_full()

    def on_ready(self) -> None:
        self._send_pongs()
        if self._end is not None:
            self._end.client_ready()

    def on_lost(self) -> None:
        super().on_lost()
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._requested()
        # The handler refers to this connection: left to the garbage collector, both would live for hours.
        end, self._end, self._websocket = self._end, None, None
        if end is not None:
            end.client_lost()

    def _take_request(self, piece: bytes | memoryview) -> None:
        if self.on_request is None:
            # It is to be refused: after a complete request, nothing is read before the answer.
            return
        self._received += piece
        end = self._received.find(HEAD_END, max(0, len(self._received) - len(piece) - len(HEAD_END)))
        if end < 0 and len(self._received) < MAX_HEAD:
            return
        if not 0 <= end < MAX_HEAD:
            problem = f"The request and its headers exceed {MAX_HEAD} bytes."
            self._head = BadHandshake(problem, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            self._requested()
            return
        # What the client sends before the answer waits in its socket, or at most in one portion of it.
        self.hold(Hold.CONNECTING)
        self.trust()
        raw = bytes(self._received[:end])
        del self._received[: end + len(HEAD_END)]
        try:
            self._head = self._read_head(raw)
        except BadHandshake as bad:
            self._head = bad
        self._requested()

    def _requested(self) -> None:
        on_request, self.on_request = self.on_request, None
        if on_request is not None:
            on_request()

    def _read_head(self, raw: bytes) -> Head:
        """
        Raises:
            BadHandshake: see `read_head`.
        """
        return read_head(raw)

    # Called by whoever serves the client.

    @property
    def age(self) -> float:
        """Seconds since the connection began."""
        return monotonic() - self._began

    def take_head(self) -> Head:
        """The head of the request that has come. It can be taken once, so that it does not live as long as
        the connection.

        Raises:
            BadHandshake: the request is to be refused with this.
        """
        head, self._head = self._head, None
        if isinstance(head, BadHandshake):
            raise head
        assert head is not None
        return head

    def upgrade(self, answer: bytes, end: WebSocketHandler, *, note: str = "") -> None:
        """Answer 101. From now on frames go to `end`: those that have come already before this returns.

        Args:
            answer: see `render_upgrade`.
            note: appended to the reasons of close frames.
        """
        self._end = end
        self._note = note
        self.write(answer)
        websocket = self._websocket = WebSocketInput(self._parsers, end)
        rest = bytes(self._received)
        del self._received
        websocket.give(rest)
        if rest:
            self.go_on()

    def explain(self, explanation: str) -> None:
        """Append this to the reason of a close frame that has not been sent yet, if it has room."""
        self._explanation = explanation

    def write_frames(self, *pieces: bytes | memoryview) -> None:
        """Send whole frames, including headers. The memory may be reused when this returns."""
        if self._pongs is not None:
            self._send_pongs()
        self.write(*pieces)

    def send_close(self, closure: Closure) -> None:
        """Send a close frame, after which nothing may be sent. Reading goes on until the client's own close
        frame.

        If the client has acknowledged everything and does not answer, `close_unanswered` is called.
        """
        self.write(self._close_frame(closure))
        self._await_answer(CLOSE_TIMEOUT)

    @property
    def owed(self) -> int:
        """Bytes that the client has yet to acknowledge, once a close frame has been sent.

        After it has received everything it owes nothing more: what follows belongs to TLS, such as answers to
        key updates, of which it could cause more and more.
        """
        if self._took_all:
            return 0
        owed = self.unsent
        self._took_all = not owed
        return owed

    def close_for(self, closure: Closure) -> None:
        """Send a close frame and hang up."""
        self.hang_up(self._close_frame(closure))

    def _close_frame(self, closure: Closure) -> bytes:
        """A close frame. Pings that have not been answered before it will not be."""
        self._send_pongs()
        self._pongs = None
        return _short_frame(_CLOSE, closure.payload(self._note, self._explanation))

    def _await_answer(self, left: float) -> None:
        if self.is_gone:
            return
        if left <= 0:
            assert self._end is not None
            self._end.close_unanswered()
            return
        left = CLOSE_TIMEOUT if self.owed else left - _CLOSE_CHECK
        self._close_timer = self.readiness.loop.call_later(_CLOSE_CHECK, self._await_answer, left)

    def answer(self, ping: bytes) -> None:
        """Answer a ping before anything else is sent, as soon as everything that was read has been processed.

        If many come at once, only the latest are answered, in one write; one answer would suffice (RFC 6455
        section 5.5.3).
        """
        pongs = self._pongs
        if pongs is None:
            pongs = self._pongs = []
            self.readiness.loop.call_soon(self._send_pongs)
        elif len(pongs) == MOST_PONGS:
            pongs.clear()
        pongs.append(_short_frame(_PONG, ping))

    def _send_pongs(self) -> None:
        # Only to a client that reads.
        if self._pongs is not None and not self.is_full:
            pongs, self._pongs = self._pongs, None
            self.write(b"".join(pongs))

    def send_ping(self) -> None:
        self.write_frames(_short_frame(_PING, b""))

    def send_text(self, text: bytes) -> None:
        """Send a message of at most 125 bytes of UTF-8."""
        self.write_frames(_short_frame(_TEXT, text))

    def hang_up(self, last: bytes = b"") -> None:
        """Read nothing more, and close after everything that was written and `last`: see `shut`."""
        self.shut(last)
        self.release(Hold.BACKLOG)
        self.release(Hold.CONNECTING)


def _short_frame(opcode: int, payload: bytes) -> bytes:
    return bytes((opcode, len(payload))) + payload
