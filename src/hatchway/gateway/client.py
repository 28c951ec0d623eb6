"""The client's side of a tunnel: TLS, in it an HTTP request, after that a WebSocket.

uvloop's TLS hands decrypted bytes to the protocol set on it, and keeps what it could not yet hand over. When
the TCP connection ends it drops what it kept. So, that no byte is lost:

- while TLS is told to hand over nothing, the TCP transport below is not read either and cannot see the end;
- nor is it after a buffer was filled to the brim, so that TLS may keep more, until it has no more;
- nobody closes TLS before its buffers are empty, because a close has only seconds to flush them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from picows import WSListener
from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

from hatchway.gateway.below_tls import BelowTls
from hatchway.gateway.flow import Hold, Valve, reset, unanswered, unsent_bytes
from hatchway.gateway.handshake import (
    HEAD_END,
    MAX_HEAD,
    BadHandshake,
    Head,
    read_head,
    render_refusal,
)
from hatchway.gateway.refusal import HEADERS_TOO_LARGE, PROTOCOL_ERROR, Closure, Refusal
from hatchway.gateway.websocket import MAX_FRAME, WebSocketInput

if TYPE_CHECKING:
    from ssl import SSLContext

    from picows import WSTransport

TLS_TIMEOUT: Final = 5.0
"""Seconds for the TLS handshake, and for the farewell of TLS."""

CLOSE_PATIENCE: Final = 5.0
"""Seconds that a client has to answer a close frame, once it has acknowledged all that was sent before it."""

_TOO_BIG: Final = f"A frame may carry at most {MAX_FRAME} bytes"

# First bytes of final control frames (RFC 6455 section 5.2).
_CLOSE: Final = 0x88
_PING: Final = 0x89
_PONG: Final = 0x8A

_OUTSIDE: Final = Hold.CONNECTING | Hold.BACKLOG
_CLOSE_CHECK: Final = 0.25
_NEVER_REACHED: Final = 1 << 30
_incoming_head: Final = memoryview(bytearray(MAX_HEAD))
"""Where TLS puts the bytes of every request. They are copied out before anything else runs."""


class TunnelEnd(WSListener):
    """What a client talks to after the upgrade: it gets the frames, and these calls."""

    def client_full(self) -> None:
        """So much waits for the client that nothing more should be sent."""
        raise NotImplementedError

    def client_ready(self) -> None:
        """The client takes bytes again."""
        raise NotImplementedError

    def client_broke_protocol(self, closure: Closure) -> None:
        """The client was sent this as a close frame; it is not listened to any more."""
        raise NotImplementedError

    def client_lost(self) -> None:
        """The connection is gone. Everything that it carried has been handed over."""
        raise NotImplementedError


class Client(asyncio.BaseProtocol):
    """One client. It is the protocol that TLS feeds until the upgrade; `WebSocketInput` is it afterwards.

    `request` is done when the request has come, or failed: with `BadHandshake` to be answered, or with
    `ConnectionError` when there is nobody to answer.
    """

    __slots__ = (
        "_brims",
        "_close_sent",
        "_close_timer",
        "_end",
        "_head",
        "_loop",
        "_received",
        "_tcp",
        "_tls",
        "_valve",
        "_websocket",
        "lost",
        "request",
    )

    def __init__(self, tcp: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tcp = tcp
        self._tls: asyncio.Transport | None = None
        self._received = bytearray()
        self._brims = 0
        self._websocket: WSTransport | None = None
        self._end: TunnelEnd | None = None
        self._close_sent = False
        self._close_timer: asyncio.TimerHandle | None = None
        self._valve = Valve(tcp)
        self._head: Head | None = None
        self.request: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()

    # Called by TLS.

    def tls_began(self, outcome: asyncio.Future[None]) -> None:
        """The TLS handshake is over. When it did not succeed, TLS tells so nowhere else."""
        failure = outcome.exception()
        if failure is not None or self._tls is None:
            self.connection_lost(ConnectionAbortedError(str(failure or "hung up within the TLS handshake")))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        tls = self._tls = cast("asyncio.Transport", transport)
        # The valve alone pauses the TCP transport.
        tls.set_read_buffer_limits(_NEVER_REACHED, _NEVER_REACHED)  # type: ignore[attr-defined]

    def get_buffer(self, _size_hint: int) -> memoryview:
        return _incoming_head

    def buffer_updated(self, size: int) -> None:
        if size == len(_incoming_head):
            self.filled_to_the_brim()
        if self.request.done() and self.request.exception() is not None:
            return
        self._received += _incoming_head[:size]
        if self.request.done():
            return
        end = self._received.find(HEAD_END, max(0, len(self._received) - size - len(HEAD_END)))
        if end < 0 and len(self._received) < MAX_HEAD:
            return
        if not 0 <= end < MAX_HEAD:
            self.request.set_exception(BadHandshake(HEADERS_TOO_LARGE))
            return
        # What the client sends before the answer waits in its socket, or at most in one read of it.
        self.hold(Hold.CONNECTING)
        raw = bytes(self._received[:end])
        del self._received[: end + len(HEAD_END)]
        try:
            self._head = read_head(raw)
            self.request.set_result(None)
        except BadHandshake as bad:
            self.request.set_exception(bad)

    def eof_received(self) -> None:
        """TLS closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        if not self.request.done():
            self.request.set_exception(exc or ConnectionResetError("the client left"))
        if not self.lost.done():
            self.lost.set_result(None)
        end, self._end = self._end, None
        if end is not None:
            end.client_lost()

    def kernel_full(self) -> None:
        # What the gateway itself says before the upgrade is short.
        if self._end is not None:
            self._end.client_full()

    def kernel_ready(self) -> None:
        if self._end is not None:
            self._end.client_ready()

    def filled_to_the_brim(self) -> None:
        """Do not read until TLS has handed over what it keeps, which it has already scheduled to do."""
        self._brims += 1
        self._valve.hold(Hold.UNDELIVERED)
        self._loop.call_soon(self._delivered, self._brims)

    def _delivered(self, brims: int) -> None:
        if brims == self._brims:
            self._valve.release(Hold.UNDELIVERED)

    # Called by the tunnel.

    def take_head(self) -> Head:
        """The head of the request that has come; once, for it should not live as long as the tunnel."""
        head, self._head = self._head, None
        assert head is not None
        return head

    @property
    def closing(self) -> bool:
        return self._close_sent or self.lost.done()

    def hold(self, reason: Hold) -> None:
        """Hand over nothing more, for one more reason."""
        self._valve.hold(reason)
        if self._tls is not None:
            self._tls.pause_reading()

    def release(self, reason: Hold) -> None:
        """Go on handing over, if that was the last reason not to."""
        if not self._valve.shut_for(_OUTSIDE):
            return
        if not self._valve.shut_for(_OUTSIDE & ~reason) and self._tls is not None:
            self._tls.resume_reading()
            self.filled_to_the_brim()
        self._valve.release(reason)

    def refuse(self, refusal: Refusal, request_id: str) -> None:
        """Answer the request with something else than 101, and hang up."""
        assert self._tls is not None
        self._tls.write(render_refusal(refusal, request_id))
        self.shut()

    def upgrade(self, key: str, request_id: str, end: TunnelEnd) -> None:
        """Answer 101. Frames come to `end` from now on, those that are here already before this returns."""
        assert self._tls is not None
        self._end = end
        websocket = WebSocketInput(self, self._tls, end, request_id)
        self._websocket = websocket.transport
        self._tls.set_protocol(websocket)
        websocket.begin(key, bytes(self._received))
        self._received = bytearray()

    def write_frame(self, frame: memoryview) -> None:
        """Send a whole frame, header included. The memory is free for other use when this returns.

        uvloop's TLS encrypts within `write`: its memory BIO takes any amount, and nothing but a
        renegotiation, which the TLS context forbids, could make it wait.
        """
        if not self._close_sent and self._tls is not None:
            self._tls.write(frame)

    def send_close(self, closure: Closure) -> None:
        """Send a close frame, once, and nothing after it. Reading goes on, for the client's own close frame.

        A client that has acknowledged everything and does not answer is hung up on.
        """
        if self._close_sent or self._websocket is None:
            return
        self._send_control(_CLOSE, closure.code.to_bytes(2) + closure.reason.encode())
        self._close_sent = True
        self._await_answer(CLOSE_PATIENCE)

    def _await_answer(self, patience: float) -> None:
        if self.lost.done() or self._tls is None:
            return
        if patience <= 0:
            self.shut()
            return
        patience = CLOSE_PATIENCE if unsent_bytes(self._tls, self._tcp) else patience - _CLOSE_CHECK
        self._close_timer = self._loop.call_later(_CLOSE_CHECK, self._await_answer, patience)

    def send_pong(self, payload: bytes) -> None:
        self._send_control(_PONG, payload)

    def send_ping(self) -> None:
        self._send_control(_PING, b"")

    def _send_control(self, opcode: int, payload: bytes) -> None:
        self.write_frame(memoryview(bytes((opcode, len(payload))) + payload))

    @property
    def unanswered(self) -> float:
        """Seconds for which the client's kernel has left everything unanswered."""
        return unanswered(self._tcp)

    def notice_violation(self) -> None:
        """Close, and take nothing more, when picows has found fault with a frame and wanted to close."""
        websocket = self._websocket
        if self._close_sent or websocket is None or not websocket.is_close_frame_sent:
            return
        code = int(websocket.close_handshake.sent.code)  # type: ignore[union-attr, arg-type]
        closure = Closure(code, _TOO_BIG if code == 1009 else PROTOCOL_ERROR.reason)
        self.send_close(closure)
        self.shut()
        if self._end is not None:
            self._end.client_broke_protocol(closure)

    def shut(self) -> None:
        """Close TLS, having flushed it, then TCP; by force if that takes longer than `TLS_TIMEOUT`."""
        self.release(_OUTSIDE)
        if self._tls is not None:
            self._tls.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Hang up at once."""
        reset(self._tcp)


def start_tls(
    tcp: asyncio.Transport, context: SSLContext, loop: asyncio.AbstractEventLoop, received: bytes
) -> Client:
    """Begin TLS on a connection from which nothing but `received` has been read of it."""
    client = Client(tcp, loop)
    ended: asyncio.Future[None] = loop.create_future()
    ended.add_done_callback(client.tls_began)
    # What `loop.create_server(ssl=…)` does, except that the TCP transport below stays in reach.
    tls = SSLProtocol(
        loop,
        client,
        context,
        ended,
        server_side=True,
        ssl_handshake_timeout=TLS_TIMEOUT,
        ssl_shutdown_timeout=TLS_TIMEOUT,
    )
    tls.connection_made(tcp)
    BelowTls(tcp, tls, client)
    rest = memoryview(received)
    while rest and not tcp.is_closing():
        buffer = tls.get_buffer(len(rest))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        tls.buffer_updated(size)
        rest = rest[size:]
    return client
