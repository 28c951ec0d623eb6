"""The bytes between a client and its target, from the upgrade to the end of both connections.

A WebSocket has no half-close. When the target ends, everything that it sent is delivered, and a close frame
follows; until the client answers that, what the client sends still reaches the target. When the client closes
or vanishes, what it sent is written to the target, and a FIN follows. If the client offers the subprotocol
`HALF_CLOSE`, either side can end its own direction first. `state_tables` has this as tables; this module
carries out their actions and passes the bytes on.

Each side is read only while the other side takes bytes. So a tunnel holds at most the two write buffers and
what had been read when they filled.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import structlog
from picows import WSMsgType

from hatchway.domain.tunnel_protocol import END_OF_DATA
from hatchway.gateway.tunnel.closures import (
    BOTH_ENDED,
    CLIENT_CLOSED,
    CLIENT_GONE,
    TARGET_CLOSED,
    TARGET_UNREACHABLE,
    TEXT_REFUSED,
)
from hatchway.gateway.tunnel.events import Action, Event
from hatchway.gateway.tunnel.state_tables import (
    ACCEPTS_FRAMES,
    AWAITS_CLIENT,
    FORWARDS_INPUT,
    FORWARDS_OUTPUT,
    MAY_SEND_FRAMES,
    ClientState,
    TargetState,
)
from hatchway.gateway.tunnel.states import TunnelStates
from hatchway.gateway.tunnel.target import LINGER, Target
from hatchway.transport.connection.allowance import CONTROL_FRAME
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.core.flags import AS_FRAMES, SIZE_SHIFT, TO_PYTHON
from hatchway.transport.websocket.close import PROTOCOL_ERROR, Closure

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from picows import WSFrame

    from hatchway.transport.connection.connecting import Attempt
    from hatchway.transport.websocket.connection import WebSocketConnection

CUT_TIMEOUT: Final = 0.7
"""Seconds for a client whose tunnel is cut to receive the close frame and answer it."""

_PONG: Final = WSMsgType.PONG
_CONTINUATION: Final = WSMsgType.CONTINUATION
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_PING: Final = WSMsgType.PING
_CLOSE: Final = WSMsgType.CLOSE

log = structlog.get_logger("hatchway.gateway")


class Relay:
    """The bytes of one tunnel.

    Attributes:
        bytes_in: payload bytes received from the client.
        bytes_out: payload bytes received from the target.
        closure: why the tunnel ended; None until it has.
        seconds: how long it lasted until then.
        ended: done when nothing more will be passed on; what has been may still be on its way.
    """

    __slots__ = (
        "_answers",
        "_bytes_in",
        "_bytes_out",
        "_client",
        "_connecting",
        "_cut_timer",
        "_expected",
        "_gone",
        "_half_close",
        "_held",
        "_listens_to_client",
        "_loop",
        "_passes_in",
        "_passes_out",
        "_payloads",
        "_started",
        "_states",
        "_target",
        "closure",
        "ended",
        "seconds",
    )

    def __init__(
        self, client: WebSocketConnection, loop: asyncio.AbstractEventLoop, *, half_close: bool = False
    ) -> None:
        """`half_close`: whether this tunnel's client was promised the subprotocol `HALF_CLOSE`."""
        self._client = client
        self._loop = loop
        self._half_close = half_close
        self._states = TunnelStates(half_close=half_close)
        # What the states say about frames, noted when they change, so that no frame has to look it up.
        self._listens_to_client = True
        self._passes_in = True
        self._passes_out = True
        self._answers = True
        # The opcode of the next data frame: all frames of a message except the first are continuations, and
        # no other message begins before its last one (RFC 6455 section 5.4).
        self._expected = _BINARY
        self._connecting: Attempt | None = None
        self._target: Target | None = None
        self._held = b""
        # Payloads of the frames of one read.
        self._payloads: list[memoryview] = []
        self._cut_timer: asyncio.TimerHandle | None = None
        self._started = loop.time()
        self.seconds = 0.0
        self._bytes_in = 0
        self._bytes_out = 0
        self.closure: Closure | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self._gone: asyncio.Future[None] | None = None

    @property
    def bytes_in(self) -> int:
        pair = self._client.pair
        return self._bytes_in if pair is None else self._bytes_in + pair.bytes_in

    @property
    def bytes_out(self) -> int:
        pair = self._client.pair
        return self._bytes_out if pair is None else self._bytes_out + pair.bytes_out

    @property
    def gone(self) -> asyncio.Future[None]:
        """Done when both connections are gone. Made on first use, mostly at the end of a tunnel."""
        if self._gone is None:
            self._gone = self._loop.create_future()
        return self._gone

    @property
    def undelivered(self) -> int:
        """Bytes passed on but not acknowledged yet: the target's, and the client's while it is waited for."""
        to_target = 0 if self._target is None else self._target.unsent
        return to_target + (self._client.owed if self._states.client in AWAITS_CLIENT else 0)

    def _on(self, event: Event, closure: Closure = CLIENT_GONE) -> None:
        """Handle an event. `closure` is why the tunnel ends, if this event ends it."""
        try:
            self._act(self._states.on(event), closure)
        except Exception as problem:
            # The state has changed already: an action that was not carried out now never would be.
            self.fail(f"{event}: {problem!r}", closure)

    def _act(self, actions: tuple[Action, ...], closure: Closure) -> None:
        """Carry out the actions that the states returned."""
        self._client.disarm()
        self._listens_to_client, self._passes_in, self._passes_out, self._answers = _FRAMES[
            self._states.client
        ]
        for action in actions:
            _DO[action](self, closure)

    # From the client.

    def on_frame(self, frame: WSFrame) -> None:
        if not self._listens_to_client:
            return
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.client_at_fault(PROTOCOL_ERROR)
        elif kind in (_BINARY, _CONTINUATION):
            if kind is not self._expected:
                self.client_at_fault(PROTOCOL_ERROR)
                return
            size = frame.payload_size
            if size:
                if self._passes_in:
                    self._bytes_in += size
                    self._payloads.append(frame.get_payload_as_memoryview())
            elif not frame.fin or kind == _CONTINUATION:
                # A whole message may be empty: the AWS CLI sends empty messages without end after its end of
                # input.
                self._client.waste += 1
            self._expected = _BINARY if frame.fin else _CONTINUATION
        elif kind == _CLOSE:
            code = int(frame.get_close_code()) if frame.payload_size else 1000  # type: ignore[call-overload]
            self.client_closes(code)
        elif kind == _PING:
            self._note_control()
            if self._answers:
                self._client.answer(frame.get_payload_as_bytes())
        elif kind == _PONG:
            self._note_control()
        elif kind == _TEXT:
            self._client_says(frame)

    def on_frames_end(self) -> None:
        payloads = self._payloads
        if not payloads:
            return
        if self._target is not None:
            self._target.send(*payloads)
        elif self._states.target is not TargetState.GONE:
            self._held += b"".join(payloads)
        payloads.clear()

    @property
    def outlet(self) -> int:
        """Where the client's data goes when it needs no inspection: see `Outlet`."""
        if self._expected is not _BINARY or not self._listens_to_client:
            return AS_FRAMES
        if self._target is None or not self._passes_in:
            return TO_PYTHON
        return self._target.direct

    def carried(self, size: int) -> None:
        if self._passes_in:
            self._bytes_in += size

    def left_over(self, data: bytes) -> None:
        if self._passes_in:
            self._payloads.append(memoryview(data))
            self.on_frames_end()

    def _note_control(self) -> None:
        self._client.waste += 1
        self._client.cost += CONTROL_FRAME

    def client_closes(self, code: int) -> None:
        if not self._listens_to_client:
            return
        if not 1000 <= code < 5000 or code == CLIENT_GONE.code:
            self.client_at_fault(PROTOCOL_ERROR)
        else:
            # The answer repeats the code (RFC 6455 section 5.5.1).
            self._on(Event.CLIENT_CLOSE_FRAME, Closure(code))

    def _client_says(self, frame: WSFrame) -> None:
        if not self._half_close or not frame.fin or frame.get_payload_as_bytes() != END_OF_DATA:
            self.client_at_fault(TEXT_REFUSED)
        elif self._expected is not _BINARY:
            self.client_at_fault(PROTOCOL_ERROR)
        else:
            # No data frame has this opcode: any that follows is a fault.
            self._expected = _CLOSE
            self._on(Event.CLIENT_END, BOTH_ENDED)

    def client_at_fault(self, closure: Closure) -> None:
        self._on(Event.CLIENT_FAULT, closure)

    def close_unanswered(self) -> None:
        self._on(Event.CLOSE_UNANSWERED)

    def client_lost(self) -> None:
        self._on(Event.CLIENT_LOST, CLIENT_GONE)

    def client_full(self) -> None:
        if self._target is not None:
            self._target.hold(Hold.BACKLOG)

    def client_ready(self) -> None:
        if self._target is not None:
            self._target.release(Hold.BACKLOG)

    # From the target.

    def carry_out(self, descriptor: int) -> int | None:
        if not self._passes_out:
            return None
        result = self._client.carry_from(descriptor)
        if result is not None:
            self._bytes_out += result >> SIZE_SHIFT
        return result

    def carried_out(self) -> None:
        self._client.flush()

    def target_sent(self, frames: list[memoryview], size: int) -> None:
        if self._passes_out:
            self._bytes_out += size
            self._client.write_frames(*frames)

    def target_full(self) -> None:
        self._client.hold(Hold.BACKLOG)

    def target_ready(self) -> None:
        self._client.release(Hold.BACKLOG)

    def target_ended(self) -> None:
        self._on(Event.TARGET_FIN, TARGET_CLOSED)

    def target_overdue(self) -> None:
        self._on(Event.TARGET_OVERDUE)

    def target_lost(self) -> None:
        self._target = None
        self._on(Event.TARGET_LOST, TARGET_CLOSED)

    # From the tunnel.

    @property
    def needs_target(self) -> bool:
        """Whether a target is still needed: not if the client left without sending a byte."""
        state = self._states.target
        return state in (TargetState.CONNECTING, TargetState.CONNECTING_TO_ANSWER) or (
            state is TargetState.CONNECTING_TO_DELIVER and bool(self._held)
        )

    def connecting(self, attempt: Attempt) -> None:
        """A connection attempt is under way. It is given up if the tunnel is cut."""
        self._connecting = attempt

    def attach(self, target: Target) -> None:
        """The target is connected: it gets what the client has sent so far, and the two can talk."""
        self._target = target
        self._client.pair_with(target)
        self._connecting = None
        self._on(Event.TARGET_CONNECTED)

    def no_target(self) -> None:
        """There will be no target."""
        self._on(Event.NO_TARGET, TARGET_UNREACHABLE)

    def explain(self, why: str) -> None:
        """Add `why` to the close frame, if that has not been sent yet."""
        self._client.explain(why)

    def cut(self, closure: Closure) -> None:
        """End the tunnel on the gateway's own initiative: from now on nothing is passed on in either
        direction.

        The client gets `CUT_TIMEOUT` for the close frame, the target `LINGER` for what was passed on before;
        then the connections are closed.
        """
        self._on(Event.CUT, closure)

    @property
    def unanswered(self) -> float:
        """Seconds for which nothing has come from the client although something should have."""
        return self._client.unanswered

    def ping(self) -> None:
        """Ping the client, unless data is waiting for it that it must acknowledge anyway."""
        if self._answers and not self._client.is_full:
            self._client.send_ping()

    def client_died(self) -> None:
        """Drop a client that is dead. The target gets what the client sent, and a FIN."""
        self._on(Event.CLIENT_DEAD)

    def drop(self) -> None:
        """Drop both connections at once, including everything that is still on its way."""
        self._on(Event.DROP)

    def fail(self, what: str, closure: Closure = CLIENT_GONE) -> None:
        """Give the tunnel up, and drop what there is of it: this has happened, or could not be done."""
        self._act(self._states.fail(what), closure)

    # What is done about events.

    def _abort_connecting(self, _closure: Closure) -> None:
        if self._connecting is not None:
            self._connecting.abort()

    def _read_target(self, _closure: Closure) -> None:
        target = self._attached
        target.begin()
        if self._client.is_full:
            target.hold(Hold.BACKLOG)

    def _deliver_held(self, closure: Closure) -> None:
        if self._held:
            self._attached.send(self._held)
        self._discard_held(closure)

    def _discard_held(self, _closure: Closure) -> None:
        self._held = b""

    def _abort_target(self, _closure: Closure) -> None:
        if self._target is not None:
            self._target.abort()

    def _record_closure(self, closure: Closure) -> None:
        # A tunnel that fails may already have one.
        if self.closure is None:
            self.closure = closure
            self.seconds = self._loop.time() - self._started

    def _start_timer(self, seconds: float) -> None:
        self._cut_timer = self._loop.call_later(seconds, self._on, Event.CUT_TIMEOUT)

    def _cancel_timer(self, _closure: Closure) -> None:
        if self._cut_timer is not None:
            self._cut_timer.cancel()

    def _report_ended(self, _closure: Closure) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _report_gone(self, _closure: Closure) -> None:
        if not self.gone.done():
            self.gone.set_result(None)

    def _log_failure(self, _closure: Closure) -> None:
        log.error(
            "tunnel dropped: what has happened to it cannot happen",
            failure=self._states.failure,
            exc_info=sys.exception(),
        )

    @property
    def _attached(self) -> Target:
        assert self._target is not None
        return self._target


_FRAMES: Final = {
    state: (
        state in ACCEPTS_FRAMES,
        state in FORWARDS_INPUT,
        state in FORWARDS_OUTPUT,
        state in MAY_SEND_FRAMES,
    )
    for state in ClientState
}
"""For each state of the client's side: whether frames are accepted, data forwarded in, data forwarded out,
and frames may be sent."""

_DO: Final[dict[Action, Callable[[Relay, Closure], object]]] = {
    Action.DELIVER_FRAMES: lambda relay, _: relay.on_frames_end(),
    Action.SEND_CLOSE: lambda relay, closure: relay._client.send_close(closure),
    Action.CLOSE_AND_HANG_UP: lambda relay, closure: relay._client.close_for(closure),
    Action.SEND_END: lambda relay, _: relay._client.send_text(END_OF_DATA),
    Action.HANG_UP: lambda relay, _: relay._client.hang_up(),
    Action.RESUME_CLIENT: lambda relay, _: relay._client.release(Hold.BACKLOG | Hold.CONNECTING),
    Action.ABORT_CLIENT: lambda relay, _: relay._client.abort(),
    Action.ABORT_CONNECTING: Relay._abort_connecting,
    Action.READ_TARGET: Relay._read_target,
    Action.DELIVER_HELD: Relay._deliver_held,
    Action.DISCARD_HELD: Relay._discard_held,
    Action.SEND_FIN: lambda relay, _: relay._attached.finish(),
    Action.END_TARGET_INPUT: lambda relay, _: relay._attached.end_input(),
    Action.AWAIT_TARGET_FIN: lambda relay, _: relay._attached.finish(),
    Action.CLOSE_TARGET: lambda relay, _: relay._attached.close(),
    Action.ABORT_TARGET: Relay._abort_target,
    Action.RECORD_CLOSURE: Relay._record_closure,
    Action.RECORD_CLIENT_CLOSED: lambda relay, _: relay._record_closure(CLIENT_CLOSED),
    Action.START_CUT_TIMER: lambda relay, _: relay._start_timer(CUT_TIMEOUT),
    Action.START_LINGER_TIMER: lambda relay, _: relay._start_timer(LINGER),
    Action.CANCEL_TIMER: Relay._cancel_timer,
    Action.REPORT_ENDED: Relay._report_ended,
    Action.REPORT_GONE: Relay._report_gone,
    Action.LOG_FAILURE: Relay._log_failure,
}
