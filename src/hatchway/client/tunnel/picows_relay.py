"""A tunnel's traffic by picows, which has the connection, its TLS and its frames."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from picows import WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

from hatchway.client.errors import CONNECTION_LOST, REQUEST_ID_HEADER, printable
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.frames import (
    BINARY,
    CLOSE,
    NO_FRAME_REASON,
    NO_PLACE_REASON,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TEXT_REASON,
    UNSUPPORTED_DATA,
    new_key,
    write_frame,
)
from hatchway.client.tunnel.opening import SUBPROTOCOL_HEADER
from hatchway.client.tunnel.relay import MAX_FRAME, Progress, Relay
from hatchway.domain.tunnel_protocol import HALF_CLOSE

if TYPE_CHECKING:
    from hatchway.client.tunnel.local import LocalEnd

_payloads: Final = [memoryview(bytearray(MAX_FRAME)) for _ in range(2)]
"""Where every relay reads local input to: all is masked before anything else is read.

Not by picows: its masks are C's `rand`, which can be foreseen, and what it masks it writes past the
cache, out of which that is encrypted next.
"""

_WRITE_BUFFER: Final = (64 * 1024, 128 * 1024)
"""Bytes on their way to the gateway: where reading local input begins again, and where it stops."""

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CONTINUATION: Final = WSMsgType.CONTINUATION
_CONTROL: Final = {_TEXT: TEXT, WSMsgType.CLOSE: CLOSE, WSMsgType.PING: PING, WSMsgType.PONG: PONG}

_MOST_PIECES: Final = 64
"""Payloads given to the kernel at once, which takes 1,024 at most (IOV_MAX). More are small, and copied."""


class PicowsRelay(Relay, WSListener):
    """It begins when picows has the connection."""

    _answers_below = _WRITE_BUFFER[0]

    def __init__(self, local: LocalEnd, progress: Progress | None = None) -> None:
        super().__init__(local, progress)
        self._transport: WSTransport | None = None
        self._fragmented = False
        # Payloads of one read's frames: picows keeps them where they are until it has called for the last.
        self._payloads: list[memoryview] = []

    @property
    def connected(self) -> bool:
        """Whether there has been a tunnel."""
        return self._transport is not None

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        request_id = transport.response.headers.get(REQUEST_ID_HEADER)
        self._request_id = None if request_id is None else printable(request_id, 100)
        self._half_close = transport.response.headers.get(SUBPROTOCOL_HEADER) == HALF_CLOSE
        if self._over:
            transport.disconnect(graceful=False)
            return
        connection = transport.underlying_transport
        low, high = _WRITE_BUFFER
        connection.set_write_buffer_limits(high=high, low=low)
        relay_limits.keep_alive(connection.get_extra_info("socket"))
        self._progress.opened()
        self._start_reading()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        carries = kind in (_BINARY, _CONTINUATION)
        # What picows lets pass.
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._refuse(PROTOCOL_ERROR, NO_FRAME_REASON)
            return
        if carries or kind == _TEXT:
            if (kind == _CONTINUATION) != self._fragmented:
                self._refuse(PROTOCOL_ERROR, NO_PLACE_REASON)
                return
            self._fragmented = not frame.fin
        if carries and not self._target_ended:
            self._payloads.append(frame.get_payload_as_memoryview())
        if self._payloads and (frame.last_in_buffer or not carries):
            self._deliver()
        if kind == _TEXT and not frame.fin:
            self._refuse(UNSUPPORTED_DATA, TEXT_REASON)
        elif not carries:
            # Pings too: of one that picows answers it would say nothing, and it may be the last of a read.
            self._act_on(_CONTROL[kind], frame.get_payload_as_bytes())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(self._closed(CONNECTION_LOST, "the connection to the gateway was lost"))

    def pause_writing(self) -> None:
        self._stop_reading()

    def resume_writing(self) -> None:
        self._answer()
        self._start_reading()

    # What the relay does by it.

    def _pass_on(self) -> None:
        assert self._transport is not None
        try:
            size = os.readv(self._local.input, _payloads)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        if size == 0:
            self._end_input()
            return
        self._progress.sent += size
        frames = []
        for payload in _payloads:
            frames.append(write_frame(BINARY, payload[:size], new_key()))
            size -= MAX_FRAME
            if size <= 0:
                break
        self._transport.underlying_transport.writelines(frames)
        if self._reading and not self._local.input_waits:
            self._loop.call_soon(self._read)

    def _write_to_gateway(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.underlying_transport.write(write_frame(kind, payload, new_key()))

    @property
    def _unsent(self) -> int:
        assert self._transport is not None
        return self._transport.underlying_transport.get_write_buffer_size()

    @property
    def _descriptor(self) -> int:
        assert self._transport is not None
        sock = self._transport.underlying_transport.get_extra_info("socket")
        return -1 if sock is None else int(sock.fileno())

    def _pause(self) -> None:
        assert self._transport is not None
        self._transport.underlying_transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def _part(self) -> None:
        assert self._transport is not None
        self._transport.disconnect()

    async def _parted(self) -> None:
        assert self._transport is not None
        try:
            await self._transport.wait_disconnected()
        except WSProtocolError as error:
            raise self._closed(int(error.code), printable(str(error))) from error

    def _drop(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _refuse(self, code: int, reason: str) -> None:
        """What came before it is delivered."""
        if self._payloads:
            self._deliver()
        super()._refuse(code, reason)

    def _deliver(self) -> None:
        payloads, self._payloads = self._payloads, []
        if self._close_sent or self._over:
            return
        if len(payloads) > _MOST_PIECES:
            payloads = [memoryview(b"".join(payloads))]
        self._progress.received += sum(map(len, payloads))
        # picows takes its memory back when this returns.
        self._write_or_hold(payloads)
