"""One client's connection: uvicorn's HTTP/1.1, with a deadline for each part of it, against slow senders
(Slowloris) and readers.

uvicorn itself limits only how long a connection may be silent between two requests.
"""

import uuid
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

import h11
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from hatchway.control.http.syntax import HttpConnection
from hatchway.transport.listening.sources import Source, Sources, source_of

HEADER_SECONDS: Final = 10.0
"""How long a client may take over the head of a request."""
WRITE_SECONDS: Final = 20.0
"""How long a client may leave what is written to it unread, when more of it waits than `PIECE`."""
CLOSE_SECONDS: Final = 0.5
"""How long a client may take over closing when the server stops; an unauthenticated one, over its request."""
PIECE: Final = 64 * 1024
"""Bytes of an answer that are written at once: the next when the client has taken most of those before."""
REQUEST_ID_HEADER: Final = "x-amzn-requestid"

_CLOSE: Final = (b"connection", b"close")


class Held(Protocol):
    """Where the connections of authenticated callers are kept."""

    def add(self, connection: "ClientConnection") -> bool: ...
    def discard(self, connection: "ClientConnection") -> None: ...


class ClientConnection(H11Protocol):
    """A connection, from its TLS handshake to its end.

    It has one answer and is closed, unless somebody has proved on it who he is, and there is room to keep it.

    Attributes:
        address: the client's IP address, an IPv4-mapped IPv6 one as its IPv4, without a zone.
        source: whom it comes from.
        proven: whether somebody has.
        idle_since: when its last answer was complete, by the loop's clock; None while there is a request.
    """

    def __init__(
        self,
        *,
        address: str,
        sources: Sources,
        held: Held,
        settled: Callable[[], None],
        answered: Callable[[], None],
        leaving: Callable[[], bool],
        **uvicorn: Any,
    ) -> None:
        """`settled` is called once: when it is held, or gone; `answered` when a request has been.

        `leaving` is whether the server is to have no more calls on the connections that are there.
        """
        super().__init__(**uvicorn)
        self._answered = answered
        self._leaving = leaving
        self.conn: HttpConnection = HttpConnection()
        self._application, self.app = self.app, self._answer
        self.address = address
        self._sources = sources
        self._held = held
        self._settled: Callable[[], None] | None = settled
        self._made = False
        self._late: TimerHandle | None = None
        self._write_timer: TimerHandle | None = None
        self.source: Source = source_of(address)
        self.proven = False
        self.idle_since: float | None = None

    # What the application tells of its caller, and asks.

    def may_authenticate(self, key_id: str) -> bool:
        """Whether a request that claims to be signed with this key is to be examined now."""
        return self._sources.may_authenticate(self.address, key_id)

    def failed(self, key_id: str) -> None:
        """A request that claims to be signed with this key failed to authenticate."""
        self._sources.failed(self.address, key_id)

    def prove(self, key_id: str) -> None:
        """A request was authenticated with this key."""
        if self.proven:
            return
        self.proven = True
        self._sources.admitted(self.address, key_id)
        # The connection may have gone meanwhile.
        if self._settled is not None and self._held.add(self):
            self._settle()

    def excuse(self) -> None:
        """A request was for something that anybody may ask. A known source wastes nothing by that, up to a
        rate."""
        if not self.proven and self._sources.knows(self.source):
            self._sources.refused(self.address)

    # Called by the transport and by uvicorn.

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made = True
        transport.set_write_buffer_limits(high=PIECE)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._end_of_head()
        elif self._late is None and self.conn.trailing_data[0]:
            self._await_head()
        if self.conn.their_state is h11.SEND_BODY and not self.transport.is_closing():
            # Until the application asks for it: it may never do.
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def on_response_complete(self) -> None:
        if self.conn.their_state is h11.SEND_BODY:
            # It need not be read to be known, and it could go on for ever. TLS has begun to end, and discards
            # the rest, which its sender may write before it reads why.
            self.server_state.total_requests += 1
            self._end_of_head()
            return
        self.idle_since = self.loop.time()
        self._answered()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_of_head()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().connection_lost(exc)
        self._held.discard(self)
        self._settle()

    def shutdown(self) -> None:
        """The server stops. A client may not learn of it before its next call."""
        if self.idle_since is not None:
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        elif not self.proven:
            self.loop.call_later(CLOSE_SECONDS, self._part)
        super().shutdown()

    @property
    def is_made(self) -> bool:
        """Whether its TLS handshake came to its end."""
        return self._made

    def never_made(self) -> None:
        """Its TLS handshake failed."""
        self._settle()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, if an answer can still be given."""
        status, sentence = self.conn.fault
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE} or (
            self.cycle is not None and not self.cycle.response_complete
        ):
            self.transport.close()
            return
        request_id = str(uuid.uuid4())
        body = f"{sentence} (request id {request_id})\n".encode()
        headers = [
            (REQUEST_ID_HEADER, request_id),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        reason = HTTPStatus(status).phrase.encode()
        for event in (
            h11.Response(status_code=status, headers=headers, reason=reason),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.idle_since = None
        scope["state"]["connection"] = self

        async def send_in_pieces(message: Message) -> None:
            if message["type"] == "http.response.start":
                unread = self.conn.their_state is h11.SEND_BODY
                if self._settled is not None or unread or self._leaving():
                    message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            else:
                body, more = message.get("body", b""), message.get("more_body", False)
                while len(body) > PIECE:
                    await send({**message, "body": body[:PIECE], "more_body": True})
                    body = body[PIECE:]
                message = {**message, "body": body, "more_body": more}
            await send(message)

        await self._application(scope, receive, send_in_pieces)

    def _part(self) -> None:
        """Stop waiting for the rest of a request, or for the end of TLS. Complete requests are answered."""
        if self.conn.their_state is not h11.DONE or self.transport.is_closing():
            self.transport.abort()

    def _await_head(self) -> None:
        self._late = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _end_of_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _settle(self) -> None:
        if self._settled is not None:
            settled, self._settled = self._settled, None
            settled()
