"""Bytes between a local end and a WebSocket, as fast as the slower of the two takes them.

There is no half-close in a WebSocket. A gateway that takes the subprotocol `HALF_CLOSE` is told of the end
of the local input, and passes it on to the target; and it tells us when the target has ended its side, which
ends the local output. With any other, the tunnel stays open after the local input's end for what the target
still has to say, until the gateway closes it, as with the AWS CLI. What a Close ends is ended only when every
byte before it has been written.

Only when nobody is left to hear the target do we close: its reader has gone, or whoever waits for `finished`
was cancelled, as by ssh's farewell to its ProxyCommand. Then the gateway's own Close tells whether what we
sent reached a target.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from picows import WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

from hatchway.client import relay_limits
from hatchway.client.errors import CONNECTION_LOST, REQUEST_ID_HEADER, TunnelClosed, printable
from hatchway.client.frames import (
    BINARY,
    CLOSE,
    NO_FRAME_REASON,
    NO_PLACE_REASON,
    NO_STATUS,
    NORMAL,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TEXT_REASON,
    UNSUPPORTED_DATA,
    new_key,
    read_close,
    write_close,
    write_frame,
)
from hatchway.client.opening import SUBPROTOCOL_HEADER
from hatchway.domain.tunnel_protocol import END_OF_DATA, HALF_CLOSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.client.local import LocalEnd

MAX_FRAME: Final = 65_528
"""Bytes in a frame that we send: with its header it fills four TLS records."""

_payloads: Final = [memoryview(bytearray(MAX_FRAME)) for _ in range(2)]
"""Where every relay reads local input to: all is masked before anything else is read.

Not by picows: its masks are C's `rand`, which can be foreseen, and what it masks it writes past the
cache, out of which that is encrypted next.
"""

_WRITE_BUFFER: Final = (64 * 1024, 128 * 1024)
"""Bytes on their way to the gateway: where reading local input begins again, and where it stops."""

_ANSWERS_LIMIT: Final = 512 * 1024
"""Bytes on their way to the gateway beyond which no ping is answered: twice what local input comes to."""

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CONTINUATION: Final = WSMsgType.CONTINUATION

_MOST_PIECES: Final = 64
"""Payloads given to the kernel at once, which takes 1,024 at most (IOV_MAX). More are small, and copied."""


@dataclass(slots=True)
class Progress:
    """What a tunnel has come to: bytes sent to the gateway and received from it, and whether its end was
    ours. `opened` is called when it is open."""

    opened: Callable[[], object] = lambda: None
    sent: int = 0
    received: int = 0
    ended_here: bool = False


class Relay(WSListener):
    """One tunnel's traffic, from the moment that picows has the connection until `finished` returns."""

    def __init__(self, local: LocalEnd, progress: Progress | None = None) -> None:
        self._local = local
        self._progress = Progress() if progress is None else progress
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._request_id: str | None = None
        self._reading = False
        self._input_ended = False
        self._half_close = False
        self._target_ended = False
        self._fragmented = False
        # Payloads of one read's frames: picows keeps them where they are until it has called for the last.
        self._payloads: list[memoryview] = []
        self._backlog: deque[memoryview] = deque()
        self._backlog_size = 0
        self._close_sent = False
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._outcome: TunnelClosed | None = None
        self._flushed = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there has been a tunnel."""
        return self._transport is not None

    async def finished(self) -> None:
        """Wait until the tunnel has ended and all that came through it has been written.

        Cancelled, it sends what is there of the local input, closes the tunnel, and waits a moment for that.

        Raises:
            TunnelClosed: it ended with another close code than 1000.
        """
        transport = self._transport
        assert transport is not None
        try:
            try:
                await self._flushed.wait()
            except asyncio.CancelledError:
                self._leave()
                with suppress(TimeoutError):
                    async with asyncio.timeout(relay_limits.LEAVE_TIMEOUT):
                        await self._flushed.wait()
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(relay_limits.HANG_UP_TIMEOUT):
                    await transport.wait_disconnected()
        except WSProtocolError as error:
            raise self._closed(int(error.code), printable(str(error))) from error
        finally:
            self.abandon()
        if self._outcome is not None:
            raise self._outcome

    def abandon(self) -> None:
        """Let go of the local end at once, and of the connection. No harm after the end."""
        self._over = True
        self._stop_reading()
        self._stop_writing()
        self._set_timer(None)
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

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
        if kind == WSMsgType.PING:
            # Not by picows, which would say nothing of it: it may be the last of a read. A gateway that takes
            # nothing is owed no answers.
            if transport.underlying_transport.get_write_buffer_size() < _ANSWERS_LIMIT:
                self._send(PONG, frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            code, reason = read_close(frame.get_payload_as_bytes())
            self._send_close(NORMAL)
            transport.disconnect()
            self._end(None if code in (NORMAL, NO_STATUS) else self._closed(code, printable(reason)))
        elif kind == _TEXT and self._half_close and frame.fin and frame.get_payload_as_bytes() == END_OF_DATA:
            self._target_ended = True
            self._end_output()
        elif kind == _TEXT:
            self._refuse(UNSUPPORTED_DATA, TEXT_REASON)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end(self._closed(CONNECTION_LOST, "the connection to the gateway was lost"))

    def pause_writing(self) -> None:
        self._stop_reading()

    def resume_writing(self) -> None:
        self._start_reading()

    # From the local input to the gateway.

    def _start_reading(self) -> None:
        if self._reading or self._input_ended or self._over or self._close_sent:
            return
        self._reading = True
        if self._local.input_waits:
            self._loop.add_reader(self._local.input, self._read)
        else:
            self._loop.call_soon(self._read)

    def _stop_reading(self) -> None:
        if self._reading and self._local.input_waits:
            self._loop.remove_reader(self._local.input)
        self._reading = False

    def _read(self) -> None:
        if not self._reading:
            return
        assert self._transport is not None
        try:
            size = os.readv(self._local.input, _payloads)
        except BlockingIOError:
            return
        except OSError:
            self._hang_up()
            return
        if size == 0:
            self._input_ended = True
            self._stop_reading()
            if self._half_close:
                self._send(TEXT, END_OF_DATA)
            self._set_timer(relay_limits.CHECK_INTERVAL, self._look_whether_wanted)
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

    def _send(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        if not self._close_sent:
            self._transport.underlying_transport.write(write_frame(kind, payload, new_key()))

    def _send_close(self, code: int) -> None:
        self._send(CLOSE, write_close(code))
        self._close_sent = True

    def _refuse(self, code: int, reason: str) -> None:
        """What came before it is delivered."""
        assert self._transport is not None
        if self._payloads:
            self._deliver()
        self._send_close(code)
        self._transport.disconnect()
        self._end(self._closed(code, reason))

    def _look_whether_wanted(self) -> None:
        if self._local.reader_is_gone():
            self._hang_up()
        else:
            self._set_timer(relay_limits.CHECK_INTERVAL, self._look_whether_wanted)

    # From the gateway to the local output.

    def _deliver(self) -> None:
        payloads, self._payloads = self._payloads, []
        if self._close_sent or self._over:
            return
        if len(payloads) > _MOST_PIECES:
            payloads = [memoryview(b"".join(payloads))]
        size = sum(map(len, payloads))
        self._progress.received += size
        written = 0 if self._backlog else self._write(payloads)
        if written == size or self._close_sent:
            return
        for payload in payloads:
            if written < len(payload):
                # picows takes its memory back when this call returns.
                self._hold(memoryview(bytes(payload[written:])))
            written = max(0, written - len(payload))

    def _hold(self, rest: memoryview) -> None:
        if not self._backlog:
            self._loop.add_writer(self._local.output, self._write_backlog)
        self._backlog.append(rest)
        self._backlog_size += len(rest)
        if self._backlog_size > relay_limits.BACKLOG_LIMIT:
            assert self._transport is not None
            self._transport.underlying_transport.pause_reading()

    def _write_backlog(self) -> None:
        while self._backlog:
            written = self._write([self._backlog[0]])
            if not self._backlog:
                return
            self._backlog_size -= written
            if written < len(self._backlog[0]):
                self._backlog[0] = self._backlog[0][written:]
                return
            self._backlog.popleft()
        self._stop_writing()
        if self._over:
            self._settle()
        elif self._transport is not None:
            self._end_output()
            self._transport.underlying_transport.resume_reading()

    def _end_output(self) -> None:
        """Let the reader know that nothing more comes, once it has all of it and the target has ended."""
        if self._target_ended and not self._backlog and not self._close_sent and not self._over:
            self._local.end_output()

    def _write(self, pieces: list[memoryview]) -> int:
        written = 0
        try:
            if self._local.output_waits:
                return os.writev(self._local.output, pieces)
            for piece in pieces:
                left = piece
                while left:
                    done = os.write(self._local.output, left)
                    written += done
                    left = left[done:]
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
        return written

    def _stop_writing(self) -> None:
        if self._local.output_waits:
            self._loop.remove_writer(self._local.output)

    # Ends.

    def _leave(self) -> None:
        """What waits in a pipe of ours is at most its size."""
        while self._reading and self._local.input_waits:
            before = self._progress.sent
            self._read()
            if self._progress.sent == before:
                break
        self._hang_up()

    def _hang_up(self) -> None:
        """Nobody is left to hear the target: what was sent still reaches it, what it says is dropped."""
        assert self._transport is not None
        self._stop_reading()
        self._stop_writing()
        self._backlog.clear()
        self._backlog_size = 0
        if self._over:
            self._settle()
        elif not self._close_sent:
            self._progress.ended_here = True
            self._send_close(NORMAL)
            # The gateway's Close may stand behind data that was held back.
            self._transport.underlying_transport.resume_reading()
            self._await_close(0, relay_limits.CLOSE_TIMEOUT)

    def _await_close(self, unsent_before: int, timeout: float) -> None:
        if timeout <= 0:
            self._end(self._closed(CONNECTION_LOST, "the gateway did not answer when the tunnel was to end"))
            return
        assert self._transport is not None
        unsent = self._transport.underlying_transport.get_write_buffer_size()
        again = relay_limits.CHECK_INTERVAL
        timeout = relay_limits.CLOSE_TIMEOUT if unsent < unsent_before else timeout - again
        self._set_timer(again, self._await_close, unsent, timeout)

    def _closed(self, code: int, reason: str) -> TunnelClosed:
        return TunnelClosed(code, reason, self._request_id)

    def _end(self, outcome: TunnelClosed | None) -> None:
        if self._over:
            return
        self._over = True
        self._outcome = outcome
        self._stop_reading()
        if not self._backlog:
            self._settle()

    def _settle(self) -> None:
        self._flushed.set()

    def _set_timer(
        self, delay: float | None, callback: Callable[..., None] = lambda: None, *arguments: object
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay is None else self._loop.call_later(delay, callback, *arguments)
