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
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatchway.client.errors import CONNECTION_LOST, TunnelClosed, printable
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.frames import (
    CLOSE,
    NO_STATUS,
    NORMAL,
    PING,
    PONG,
    TEXT,
    TEXT_REASON,
    UNSUPPORTED_DATA,
    read_close,
    write_close,
)
from hatchway.domain.tunnel_protocol import END_OF_DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatchway.client.tunnel.local import LocalEnd

MAX_FRAME: Final = 65_528
"""Bytes in a frame that we send: with its header it fills four TLS records."""


@dataclass(slots=True)
class Progress:
    """What a tunnel has come to: bytes sent to the gateway and received from it, and whether its end was
    ours. `opened` is called when it is open. `untaken` are the bytes that the gateway had not taken when the
    tunnel was cancelled."""

    opened: Callable[[], object] = lambda: None
    sent: int = 0
    received: int = 0
    ended_here: bool = False
    untaken: int = 0


class Relay(ABC):
    """One tunnel's traffic, from the moment that it is open until `finished` returns.

    `asyncio_relay.AsyncioRelay` carries it.
    """

    def __init__(self, local: LocalEnd, progress: Progress | None = None) -> None:
        self._local = local
        self._progress = Progress() if progress is None else progress
        self._loop = asyncio.get_running_loop()
        self._request_id: str | None = None
        self._reading = False
        self._input_ended = False
        self._half_close = False
        self._target_ended = False
        self._backlog = bytearray()
        # The newest that is not answered yet (RFC 6455 section 5.5.3).
        self._ping: bytes | None = None
        self._close_sent = False
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._outcome: TunnelClosed | None = None
        self._flushed = asyncio.Event()

    # What carries it does.

    @abstractmethod
    def _pass_on(self) -> None:
        """Read the local input once, and write that to the gateway."""

    @abstractmethod
    def _write_to_gateway(self, kind: int, payload: bytes) -> None:
        """One frame, behind all that was written before."""

    @property
    @abstractmethod
    def _unsent(self) -> int:
        """Bytes for the gateway that the kernel has not taken."""

    @property
    @abstractmethod
    def _descriptor(self) -> int:
        """That of the connection to the gateway; -1 when it is closed."""

    @abstractmethod
    def _pause(self) -> None:
        """Read nothing more from the gateway, until `_resume`."""

    @abstractmethod
    def _resume(self) -> None:
        """Go on reading from it."""

    @abstractmethod
    def _part(self) -> None:
        """End the connection when all that was written has left: both have sent a Close."""

    @abstractmethod
    async def _parted(self) -> None:
        """Wait until the gateway has ended it too."""

    @abstractmethod
    def _drop(self) -> None:
        """Let go of the connection at once, if there is one. No harm after the end."""

    async def finished(self) -> None:
        """Wait until the tunnel has ended and all that came through it has been written.

        Cancelled, it sends what is there of the local input, closes the tunnel, and waits a moment for that;
        cancelled twice, it waits for nothing.

        Raises:
            TunnelClosed: it ended with another close code than 1000.
        """
        try:
            try:
                await self._flushed.wait()
            except asyncio.CancelledError:
                self._leave()
                try:
                    await self._left()
                finally:
                    self._progress.untaken = self._untaken()
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(relay_limits.HANG_UP_TIMEOUT):
                    await self._parted()
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
        self._drop()

    # From the local input to the gateway.

    def _read(self) -> None:
        if self._reading:
            self._pass_on()

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

    def _end_input(self) -> None:
        self._input_ended = True
        self._stop_reading()
        if self._half_close:
            self._send(TEXT, END_OF_DATA)
        self._set_timer(relay_limits.CHECK_INTERVAL, self._look_whether_wanted)

    def _send(self, kind: int, payload: bytes) -> None:
        if not self._close_sent:
            self._write_to_gateway(kind, payload)

    def _send_close(self, code: int) -> None:
        self._send(CLOSE, write_close(code))
        self._close_sent = True

    def _refuse(self, code: int, reason: str) -> None:
        self._send_close(code)
        self._part()
        self._end(self._closed(code, reason))

    def _look_whether_wanted(self) -> None:
        if self._local.reader_is_gone():
            self._hang_up()
        else:
            self._set_timer(relay_limits.CHECK_INTERVAL, self._look_whether_wanted)

    # From the gateway to the local output.

    def _act_on(self, kind: int, payload: bytes) -> None:
        """What came and is no data, whole."""
        if kind == PING:
            if self._ping is None:
                # Of those that come in one turn the last alone is answered.
                self._loop.call_soon(self._answer)
            self._ping = payload
        elif kind == CLOSE:
            code, reason = read_close(payload)
            self._send_close(NORMAL)
            self._part()
            self._end(None if code in (NORMAL, NO_STATUS) else self._closed(code, printable(reason)))
        elif kind == TEXT and self._half_close and payload == END_OF_DATA:
            self._target_ended = True
            self._end_output()
        elif kind == TEXT:
            self._refuse(UNSUPPORTED_DATA, TEXT_REASON)

    def _answer(self) -> None:
        """Answer the newest ping once the gateway has taken what was sent before: one that takes nothing has
        one answer wait for it, however many pings it sends."""
        if self._ping is not None and not self._over and not self._unsent:
            payload, self._ping = self._ping, None
            self._send(PONG, payload)

    def _write_or_hold(self, payloads: list[memoryview]) -> None:
        """In order, behind what is held back. The memory is free for other use when this returns."""
        written = 0 if self._backlog else self._write(payloads)
        if written == sum(map(len, payloads)) or self._close_sent:
            return
        for payload in payloads:
            if written < len(payload):
                self._hold(payload[written:])
            written = max(0, written - len(payload))

    def _hold(self, rest: memoryview) -> None:
        if not self._backlog:
            self._loop.add_writer(self._local.output, self._write_backlog)
        # One piece of memory: each of its own would be hundreds of bytes for a frame of one.
        self._backlog += rest
        if len(self._backlog) > relay_limits.BACKLOG_LIMIT:
            self._pause()

    def _write_backlog(self) -> None:
        written = self._write([self._backlog])
        if not self._backlog:
            # Nobody is left to read it.
            return
        del self._backlog[:written]
        if self._backlog:
            return
        self._stop_writing()
        if self._over:
            self._settle()
        else:
            self._end_output()
            self._resume()

    def _end_output(self) -> None:
        """Let the reader know that nothing more comes, once it has all of it and the target has ended."""
        if self._target_ended and not self._backlog and not self._close_sent and not self._over:
            self._local.end_output()

    def _write(self, pieces: Sequence[memoryview | bytearray]) -> int:
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
        """What waits is at most what the kernel holds."""
        left = self._local.waiting()
        while left > 0 and not (self._input_ended or self._over or self._close_sent):
            before = self._progress.sent
            self._pass_on()
            if self._progress.sent == before:
                break
            left -= self._progress.sent - before
        self._hang_up()

    async def _left(self) -> None:
        """Wait for the tunnel's end, if nobody is in a hurry."""
        task = asyncio.current_task()
        # Two cancellations that come at once are one exception.
        if task is None or task.cancelling() < 2:
            with suppress(TimeoutError):
                async with asyncio.timeout(relay_limits.LEAVE_TIMEOUT):
                    await self._flushed.wait()

    def _untaken(self) -> int:
        if self._over and (self._outcome is None or self._outcome.code != CONNECTION_LOST):
            # The gateway has ended it.
            return 0
        return relay_limits.untaken(self._unsent, self._descriptor, self._local)

    def _hang_up(self) -> None:
        """Nobody is left to hear the target: what was sent still reaches it, what it says is dropped."""
        self._stop_reading()
        self._stop_writing()
        self._backlog.clear()
        if self._over:
            self._settle()
        elif not self._close_sent:
            self._progress.ended_here = True
            self._send_close(NORMAL)
            # The gateway's Close may stand behind data that was held back.
            self._resume()
            self._await_close(0, relay_limits.CLOSE_TIMEOUT)

    def _await_close(self, owed_before: int, timeout: float) -> None:
        owed = self._unsent + relay_limits.unacknowledged(self._descriptor)
        if owed < owed_before:
            timeout = relay_limits.CLOSE_TIMEOUT
        if timeout <= 0:
            self._end(self._closed(CONNECTION_LOST, relay_limits.no_close(owed)))
            return
        again = relay_limits.CHECK_INTERVAL
        self._set_timer(again, self._await_close, owed, timeout - again)

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
