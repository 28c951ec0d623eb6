"""What passes between a client and its target, from the upgrade to the end of both connections.

There is no half-close in a WebSocket. When the target ends, what it sent is delivered and a close frame
follows; until the client answers it, what the client sends still reaches the target. When the client closes
or vanishes, what it sent is written to the target and a FIN follows.

Each side is read only while the other takes bytes. So a tunnel holds at most the two write buffers, and what
had been read when they filled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picows import WSMsgType

from hatchway.gateway.tunnel.closures import (
    CLIENT_CLOSED,
    CLIENT_GONE,
    TARGET_CLOSED,
    TARGET_UNREACHABLE,
    TEXT_REFUSED,
)
from hatchway.gateway.tunnel.target import LINGER, Target
from hatchway.transport.connection.allowance import CONTROL_FRAME
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.websocket.close import PROTOCOL_ERROR, Closure

if TYPE_CHECKING:
    import asyncio

    from picows import WSFrame

    from hatchway.transport.connection.connecting import Attempt
    from hatchway.transport.websocket.connection import Client

CUT_PATIENCE: Final = 0.7
"""Seconds that a client whose tunnel is cut has to take the close frame and answer it."""

_PONG: Final = WSMsgType.PONG
_CONTINUATION: Final = WSMsgType.CONTINUATION
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE


class Relay:
    """One tunnel's bytes.

    Attributes:
        bytes_in: payload bytes taken from the client.
        bytes_out: payload bytes taken from the target.
        closure: why the tunnel ended; None while it has not.
        seconds: how long it lasted until then.
        ended: done when nothing more will be passed on; what was may still be on its way.
        gone: done when both connections are gone.
    """

    __slots__ = (
        "_client",
        "_client_is_full",
        "_client_over",
        "_connecting",
        "_cut",
        "_cut_timer",
        "_held",
        "_loop",
        "_message_open",
        "_payloads",
        "_started",
        "_target",
        "_target_over",
        "bytes_in",
        "bytes_out",
        "closure",
        "ended",
        "gone",
        "seconds",
    )

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._connecting: Attempt | None = None
        self._target: Target | None = None
        self._held: list[bytes] = []
        # Of the frames that there are at once.
        self._payloads: list[memoryview] = []
        self._client_over = False
        self._target_over = False
        self._client_is_full = False
        self._message_open = False
        self._cut = False
        self._cut_timer: asyncio.TimerHandle | None = None
        self._started = loop.time()
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0
        self.closure: Closure | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()

    # From the client.

    def on_frame(self, frame: WSFrame) -> None:
        if self._client_over:
            return
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(PROTOCOL_ERROR)
        elif kind in (_BINARY, _CONTINUATION):
            if self._message_open != (kind == _CONTINUATION):
                self._refuse(PROTOCOL_ERROR)
                return
            size = frame.payload_size
            if size:
                if not self._cut:
                    self.bytes_in += size
                    self._payloads.append(frame.get_payload_as_memoryview())
            elif not frame.fin or self._message_open:
                # A whole message may be empty: the AWS CLI sends such without end after its end of input.
                self._client.waste += 1
            self._message_open = not frame.fin
        elif kind == _CLOSE:
            self._client_closed(frame)
        elif kind == _PING:
            self._note_control()
            self._client.answer(frame.get_payload_as_bytes())
        elif kind == _PONG:
            self._note_control()
        elif kind == _TEXT:
            self._refuse(TEXT_REFUSED)

    def on_frames_end(self) -> None:
        payloads = self._payloads
        if not payloads:
            return
        if self._target is not None:
            self._target.send(*payloads)
        elif not self._target_over:
            self._held.append(b"".join(payloads))
        payloads.clear()

    def _note_control(self) -> None:
        self._client.waste += 1
        self._client.cost += CONTROL_FRAME

    def _client_closed(self, frame: WSFrame) -> None:
        code = int(frame.get_close_code()) if frame.payload_size else 1000  # type: ignore[call-overload]
        if not 1000 <= code < 5000 or code == CLIENT_GONE.code:
            self._refuse(PROTOCOL_ERROR)
            return
        self._client_over = True
        self.on_frames_end()
        # The answer repeats the code (RFC 6455 section 5.5.1).
        self._client.close_for(Closure(code))
        self._end(CLIENT_CLOSED)
        self._finish_target()
        self._settle()

    def _refuse(self, closure: Closure) -> None:
        self._client_over = True
        self.on_frames_end()
        self._client.close_for(closure)
        self._end(closure)
        self._finish_target()
        self._settle()

    def client_broke_protocol(self, closure: Closure) -> None:
        self._client_over = True
        self._end(closure)
        self._finish_target()
        self._settle()

    def client_lost(self) -> None:
        self._client_over = True
        self._end(CLIENT_GONE)
        self._finish_target()
        self._settle()

    def client_full(self) -> None:
        self._client_is_full = True
        if self._target is not None:
            self._target.hold(Hold.BACKLOG)

    def client_ready(self) -> None:
        self._client_is_full = False
        if self._target is not None:
            self._target.release(Hold.BACKLOG)

    # From the target.

    def target_sent(self, frames: list[memoryview], size: int) -> None:
        if self._client_over or self._cut:
            return
        self.bytes_out += size
        self._client.write_frames(*frames)

    def target_full(self) -> None:
        self._client.hold(Hold.BACKLOG)

    def target_ready(self) -> None:
        self._client.release(Hold.BACKLOG)

    def target_ended(self) -> None:
        """It sent a FIN, behind everything that it had to say."""
        self._client.send_close(TARGET_CLOSED)
        self._end(TARGET_CLOSED)

    def target_lost(self) -> None:
        self._target = None
        self.no_target(TARGET_CLOSED)

    # From the tunnel.

    @property
    def needs_target(self) -> bool:
        """Whether there is anything to tell a target: not when the client left without a byte."""
        return not self._cut and not (self._client_over and not self._held)

    def connecting(self, attempt: Attempt) -> None:
        """An attempt to connect is under way: it is given up when the tunnel is cut."""
        self._connecting = attempt

    def attach(self, target: Target) -> None:
        """The target is connected: it gets what the client has sent meanwhile, and the two can talk."""
        self._target = target
        self._connecting = None
        target.begin()
        if self._cut:
            target.abort()
            return
        for payload in self._held:
            target.send(payload)
        self._held.clear()
        if self._client_is_full:
            target.hold(Hold.BACKLOG)
        if self._client_over:
            target.part()
        self._client.release(Hold.CONNECTING)

    def no_target(self, closure: Closure = TARGET_UNREACHABLE) -> None:
        """There will be no target."""
        self._target_over = True
        self._held.clear()
        self._client.send_close(closure)
        self._client.release(Hold.BACKLOG | Hold.CONNECTING)
        self._end(closure)
        self._settle()

    def cut(self, closure: Closure) -> None:
        """End the tunnel from above, now: nothing that comes from now on is passed on, in either direction.

        The client gets `CUT_PATIENCE` for the close frame, the target `LINGER` for what was passed on before;
        then the connections go.
        """
        if self._cut:
            return
        self._cut = True
        self._client.send_close(closure)
        self._client.release(Hold.BACKLOG | Hold.CONNECTING)
        self._end(closure)
        self._finish_target()
        if self._connecting is not None:
            self._connecting.abort()
        self._cut_timer = self._loop.call_later(CUT_PATIENCE, self._abandon)
        self._settle()

    @property
    def unanswered(self) -> float:
        """Seconds for which nothing has come from the client that should have."""
        return self._client.unanswered

    def ping(self) -> None:
        """Make the client say something, unless so much waits for it that it has to anyway."""
        if not self._client_is_full:
            self._client.send_ping()

    def client_died(self) -> None:
        """Let a client go that is not there any more. The target gets what the client sent, and a FIN."""
        self._client.abort()

    def drop(self) -> None:
        """Let both connections go at once, whatever is still on its way."""
        self._client.abort()
        if self._target is not None:
            self._target.abort()

    def _abandon(self) -> None:
        self._client.abort()
        if self._target is not None:
            self._cut_timer = self._loop.call_later(LINGER, self._target.abort)

    def _finish_target(self) -> None:
        if self._target is not None:
            self._target.part()

    def _end(self, closure: Closure) -> None:
        if self.closure is None:
            self.closure = closure
            self.seconds = self._loop.time() - self._started

    def _settle(self) -> None:
        if (self._cut or self._client_over or self._target_over) and not self.ended.done():
            self.ended.set_result(None)
        if self._target_over and self._client.lost.done() and not self.gone.done():
            if self._cut_timer is not None:
                self._cut_timer.cancel()
            self.gone.set_result(None)
