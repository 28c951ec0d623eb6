"""A client connection in which the compiled core handles the TLS handshake, the head of the request, and data
frames.

See `hatchway.transport.core`. Python is called when the head has come or will not come. After the upgrade the
core has the bytes as long as only final BINARY frames with a payload come. It hands any other frame over to
the parser, from its first byte on, and goes on when the parser has no more of them. So each of the two always
has the bytes from the beginning of a frame to the beginning of another. The close frame that most clients end
with needs no parser.
"""

from __future__ import annotations

import ssl
from time import monotonic
from typing import TYPE_CHECKING

from hatchway.transport.connection.allowance import FRAME
from hatchway.transport.connection.tls import SMALL_READ_SIZE, TURN
from hatchway.transport.core.flags import (
    COST,
    ENCRYPTED,
    END,
    FAILED,
    FLAGS,
    FULL,
    NOTHING,
    OUTGOING,
    PLAIN,
    PUSH_SIZE,
    READ_SIZE,
    REST,
    SIZE_SHIFT,
    TLS_ENDED,
    TLS_FAILED,
    TOO_MUCH,
)
from hatchway.transport.core.loading import CORE
from hatchway.transport.websocket.connection import Outlet, WebSocketConnection
from hatchway.transport.websocket.frames import lone_close_code
from hatchway.transport.websocket.handshake import Head, read_head

if TYPE_CHECKING:
    import socket

    from hatchway.transport.connection.readiness import Readiness
    from hatchway.transport.connection.tcp import Connection
    from hatchway.transport.core._core import Context
    from hatchway.transport.websocket.frames import Parsers


def read_usual_head(raw: bytes) -> Head:
    """Do what `read_head` does, with the core if the head is in the form that clients usually write."""
    parts = None if CORE is None else CORE.read_head(raw)
    return read_head(raw) if parts is None else Head(*parts)


class CoreConnection(WebSocketConnection):
    """One client. It has the interface of `WebSocketConnection`."""

    __slots__ = ("_in_core", "_outlet", "_session")

    def __init__(self, readiness: Readiness, sock: socket.socket, context: Context, parsers: Parsers) -> None:
        """`sock` is non-blocking."""
        self._session = context.session()
        super().__init__(readiness, sock, self._session, parsers)
        self._outlet: Outlet | None = None
        self._in_core = True
        if readiness.poller is not None:
            self.pair = readiness.poller.pair(self._session, self._descriptor)

    def _read_head(self, raw: bytes) -> Head:
        return read_usual_head(raw)

    def begin(self) -> None:
        super().begin()
        if self.pair is not None:
            self.pair.read_client()

    def carry_to(self, outlet: Outlet) -> None:
        self._outlet = outlet

    def pair_with(self, target: Connection) -> None:
        poller = self.readiness.poller
        if poller is not None and self._descriptor >= 0 and target.direct >= 0:
            self.pair = target.pair = poller.pair(self._session, self._descriptor, target.direct)

    def turn(self) -> bool:
        """Let the core carry what has come, as long as there is time and nothing but data has come."""
        websocket, outlet, pair = self._websocket, self._outlet, self.pair
        if websocket is None and self.on_request is not None:
            return self._greet()
        if outlet is None or websocket is None:
            self._leave_core()
            return super().turn()
        if pair is not None and (flags := pair.take_client()):
            return self._do_rest(flags, outlet)
        session, until = self._session, 0.0
        if (
            websocket.is_busy
            or self._shut_timer is not None
            or self._ended
            or self._failed
            or not self._enter_core()
        ):
            self._leave_core()
            return super().turn()
        while True:
            encrypted, self._encrypted = self._encrypted, None
            most = SMALL_READ_SIZE if self._slowed else READ_SIZE
            try:
                result = session.pump(self._descriptor, outlet.outlet, most, encrypted)
            except OSError:
                self._drop()
                return False
            if size := result >> SIZE_SHIFT:
                outlet.carried(size)
            flags = result & FLAGS
            if not flags or (flags == FULL and not self._slowed):
                self._slowed = False
                if pair is not None and outlet.outlet >= 0:
                    # The core is notified again of what is left.
                    pair.read_client()
                    return False
                if not flags:
                    return False
            elif flags != FULL:
                return self._do_rest(flags, outlet)
            if not until:
                until = monotonic() + TURN
            elif monotonic() > until:
                return True

    def _greet(self) -> bool:
        """Let the core go on with the handshake and collect the request's head. Returns what `turn` does."""
        pair = self.pair
        flags = 0 if pair is None else pair.take_client()
        if self._ended or self._failed:
            self._leave_core()
            return super().turn()
        if not flags:
            encrypted, self._encrypted = self._encrypted, None
            try:
                flags = self._session.greet(self._descriptor, self.direct, encrypted)
            except OSError:
                self._drop()
                return False
        self._handshaking = not self._session.is_open
        if flags & TOO_MUCH:
            self.abort()
            return False
        if not flags & ~(FULL | NOTHING) and pair is not None and self.direct >= 0:
            # The core is notified again of what is left. It sends by itself, so not before what waits here.
            pair.read_client()
            return False
        if flags & PLAIN:
            self._take_request(self._session.take_plain())
        return self._do_rest(flags & ~PLAIN, None)

    def _do_rest(self, flags: int, outlet: Outlet | None) -> bool:
        """Do what the core has left to Python. Returns what `turn` does."""
        session = self._session
        if flags & NOTHING:
            return False
        if flags & FAILED:
            self._drop()
            return False
        if flags & END:
            self._input_ends()
            return self.has_more
        if flags & REST and outlet is not None:
            outlet.left_over(session.take_rest())
        if flags & OUTGOING:
            self.flush()
        if flags & ENCRYPTED:
            self._encrypted = memoryview(session.take_encrypted())
        if flags & TLS_ENDED:
            self._ended = True
        if flags & TLS_FAILED:
            self._failed = True
        if flags & COST:
            self.cost, self.waste, self._carried = session.take_cost()
        if flags & PLAIN and self._websocket is not None:
            plain = session.take_plain()
            code = lone_close_code(plain)
            if code is None or outlet is None:
                self._websocket.give(plain)
            else:
                self.cost += FRAME
                outlet.client_closes(code)
        self._end_turn()
        return bool(flags & FULL) or self.has_more

    def _enter_core(self) -> bool:
        """Tell the core where in the TLS records it begins. Returns whether it can go on."""
        if not self._in_core:
            if self._incoming.pending or self._session.pending():
                return False
            self._session.enter(self._stub, self._record_left, self._records)
            self._stub = b""
            self._in_core = True
        return True

    def _leave_core(self) -> None:
        if self._in_core:
            self._in_core = False
            self._stub, self._record_left, self._records = self._session.leave()

    def carry_from(self, descriptor: int) -> int | None:
        if (
            self.direct < 0
            or self._pongs is not None
            or self._shut_timer is not None
            or self._failed
            or self._outgoing.pending
        ):
            return None
        try:
            result = self._session.push(descriptor, self._descriptor, PUSH_SIZE)
        except ssl.SSLError:
            self._fail()
            return NOTHING
        if result & OUTGOING:
            self.flush()
        return result

    def flush(self) -> None:
        self.send(self._outgoing.read())

    def on_lost(self) -> None:
        super().on_lost()
        self._outlet = None

    def _drop(self) -> None:
        if self.pair is not None and self.pair.take_client() & REST and self._outlet is not None:
            self._outlet.left_over(self._session.take_rest())
        super()._drop()
