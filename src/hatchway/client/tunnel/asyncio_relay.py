"""A tunnel in an event loop: its connection to the gateway. `relay` has its local end, and how it ends.

The compiled core passes data on in both directions without Python (`hatchway.transport.core`): here the
gateway has the place of its client, and the local connection that of its target. The core has both sockets as
long as nothing but data comes, and there is room for it. It hands over any other frame from its first byte
on; then frames are read here until there is only data again.

Where the core is not built, `python_session` replaces it, which passes on nothing by itself.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from hatchway.client.errors import CONNECTION_LOST
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.frames import BINARY, BadFrame, FrameReader, new_key, write_frame
from hatchway.client.tunnel.python_session import NoPair, PythonSession
from hatchway.client.tunnel.relay import Progress, Relay
from hatchway.transport.core.flags import (
    AS_FRAMES,
    ENCRYPTED,
    END,
    FAILED,
    FLAGS,
    NOTHING,
    OUTGOING,
    PLAIN,
    PUSH_SIZE,
    READ_SIZE,
    REST,
    SIZE_SHIFT,
    TLS_ENDED,
    TLS_FAILED,
    TO_PYTHON,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.client.tunnel.asyncio_opening import Opened
    from hatchway.client.tunnel.local import LocalEnd
    from hatchway.transport.core._core import Pair
    from hatchway.transport.core.event_loop import CoreLoop

_MOST_SENT: Final = 256 * 1024
"""Unsent bytes offered to the kernel at once."""

_MOST_UNSENT: Final = 1 << 20
"""Bytes waiting for a gateway that takes nothing, beyond which nothing more is read from it: TLS answers key
updates."""

_LOST: Final = END | TLS_ENDED | TLS_FAILED | FAILED
_UNUSUAL: Final = _LOST | REST | PLAIN | ENCRYPTED | OUTGOING


class AsyncioRelay(Relay):
    """It begins with an open tunnel. If its session is the core's, so is the event loop, and the local end is
    a connection."""

    def __init__(self, opened: Opened, local: LocalEnd, progress: Progress | None = None) -> None:
        super().__init__(local, progress)
        self._sock, self._session = opened.sock, opened.session
        self._gateway = opened.sock.fileno()
        self._request_id, self._half_close = opened.request_id, opened.half_close
        self._frames = FrameReader()
        # The frames that have come and have not been read yet.
        self._came: Iterator[tuple[int, memoryview | bytes]] | None = None
        self._goes_on = False
        self._encrypted: bytes | None = opened.encrypted or None
        # What the kernel has not taken for the gateway. Meanwhile nothing is read from the local input.
        self._queue = bytearray()
        self._paused = True
        self._lost = asyncio.Event()
        self._dropped = False
        self._pair: Pair | NoPair
        if isinstance(opened.session, PythonSession):
            self._pair = NoPair()
        else:
            self._pair = cast("CoreLoop", self._loop).poller.pair(opened.session, self._gateway, local.input)
        self._counted = (0, 0)
        relay_limits.keep_alive(opened.sock)
        self._progress.opened()
        self._resume()
        self._start_reading()
        self._take(opened.received)

    # From the gateway.

    def _receive(self) -> None:
        if not self._goes_on:
            self._have_turn()

    def _soon(self) -> None:
        """Have another turn after all others."""
        if not self._goes_on:
            self._goes_on = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self._have_turn()

    def _have_turn(self) -> None:
        """Read some of the frames that have come; otherwise do what the core has left, or have it read
        once."""
        if self._paused:
            return
        if self._came is not None:
            self._read_frames()
            if self._came is not None:
                self._soon()
                return
        flags = self._pair.take_client()
        outlet = self._outlet()
        if not flags:
            encrypted, self._encrypted = self._encrypted, None
            try:
                result = self._session.pump(self._gateway, outlet, READ_SIZE, encrypted)
            except OSError:
                self._lose()
                return
            self._progress.received += result >> SIZE_SHIFT
            flags = result & FLAGS
        if flags & NOTHING:
            return
        if flags & _UNUSUAL:
            self._pair.disarm()
            self._do_rest(flags)
            outlet = self._outlet()
        if self._came is not None or self._encrypted is not None:
            if not self._paused:
                self._soon()
        elif outlet >= 0 and not self._paused:
            # From now on without Python.
            self._pair.read_client()

    def _do_rest(self, flags: int) -> None:
        session = self._session
        if flags & REST:
            rest = session.take_rest()
            if not self._close_sent and not self._over:
                self._write_or_hold([memoryview(rest)])
        if flags & OUTGOING:
            self._flush()
        if flags & ENCRYPTED:
            self._encrypted = session.take_encrypted()
        if flags & PLAIN:
            plain = session.take_plain()
            if not self._over:
                self._take(plain)
        if flags & _LOST:
            self._lose()

    def _outlet(self) -> int:
        """Where the core sends data."""
        if self._close_sent or self._over or self._target_ended or self._frames.is_amid:
            return AS_FRAMES
        return TO_PYTHON if self._backlog else self._local.output

    def _take(self, received: bytes) -> None:
        """Take frames, or parts of them."""
        self._came = self._frames.read(memoryview(received))
        self._read_frames()
        if self._came is not None:
            self._soon()

    def _read_frames(self) -> None:
        """Read the next few of the frames that have come."""
        assert self._came is not None
        try:
            for _ in range(relay_limits.MOST_FRAMES):
                kind, payload = next(self._came, (None, b""))
                if kind is None or self._over:
                    self._came = None
                    return
                if kind != BINARY:
                    self._act_on(kind, bytes(payload))
                elif payload and not self._target_ended and not self._close_sent:
                    self._progress.received += len(payload)
                    self._write_or_hold([memoryview(payload)])
        except BadFrame as problem:
            self._came = None
            self._refuse(problem.code, str(problem))

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._pair.disarm()
            self._loop.remove_reader(self._gateway)

    def _resume(self) -> None:
        full = len(self._backlog) > relay_limits.BACKLOG_LIMIT or len(self._queue) > _MOST_UNSENT
        if self._paused and not full and not self._lost.is_set() and not self._dropped:
            self._paused = False
            self._loop.add_reader(self._gateway, self._receive)
            # The core reports once what it has left there, and it may be the last that comes.
            if self._came is not None or self._encrypted is not None or self._pair.has_events:
                self._soon()

    # To the gateway.

    def _start_reading(self) -> None:
        if not self._queue:
            super()._start_reading()

    def _stop_reading(self) -> None:
        self._pair.disarm()
        super()._stop_reading()

    def _pass_on(self) -> None:
        flags = self._pair.take_target()
        if not flags:
            if self._session.outgoing.pending:
                # An answer to the gateway's TLS that the core has left, and that has not been sent yet.
                self._flush()
            try:
                result = self._session.push(self._local.input, self._gateway, PUSH_SIZE)
            except ssl.SSLError:
                # The gateway has begun one of TLS's own messages and holds the rest back.
                self._lose()
                return
            except OSError:
                self._hang_up()
                return
            self._progress.sent += result >> SIZE_SHIFT
            flags = result & FLAGS
        self._count()
        if flags & NOTHING:
            return
        if flags & END:
            self._end_input()
            return
        if flags & FAILED:
            self._hang_up()
            return
        if flags & OUTGOING:
            self._flush()
        if self._reading:
            self._pair.read_target()
            if not self._local.input_waits:
                self._loop.call_soon(self._read)

    def _write_to_gateway(self, kind: int, payload: bytes) -> None:
        try:
            self._session.write(write_frame(kind, payload, new_key()))
        except ssl.SSLError:
            self._lose()
            return
        self._flush()

    @property
    def _unsent(self) -> int:
        return len(self._queue)

    @property
    def _descriptor(self) -> int:
        return self._sock.fileno()

    def _flush(self) -> None:
        """Send what is encrypted."""
        encrypted = self._session.outgoing.read()
        if self._queue:
            self._queue += encrypted
        elif (sent := self._offer(encrypted)) < len(encrypted):
            self._stop_reading()
            self._queue += encrypted[sent:]
            self._loop.add_writer(self._gateway, self._send_queue)
        if len(self._queue) > _MOST_UNSENT:
            self._pause()

    def _offer(self, data: bytes | memoryview) -> int:
        """How much of it the kernel takes. What the gateway said before it left still has to be read."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return len(data)

    def _send_queue(self) -> None:
        with memoryview(self._queue) as whole, whole[:_MOST_SENT] as first:
            sent = self._offer(first)
        del self._queue[:sent]
        if not self._queue:
            self._loop.remove_writer(self._gateway)
            self._answer()
            self._resume()
            self._start_reading()

    # Ends.

    def _leave(self) -> None:
        self._pair.disarm()
        # What else the core may have left of the local end is there again when that is read.
        if self._pair.take_target() & OUTGOING:
            self._flush()
        super()._leave()

    def _send_close(self, code: int) -> None:
        self._pair.disarm()
        super()._send_close(code)

    def _part(self) -> None:
        # OpenSSL raises because the gateway has not ended TLS yet.
        with suppress(ssl.SSLError):
            self._session.unwrap()
        self._flush()

    async def _parted(self) -> None:
        self._resume()
        await self._lost.wait()

    def _lose(self) -> None:
        """The gateway has gone, or what it sends is not TLS."""
        self._pause()
        if not self._lost.is_set() and (told := self._pair.take_client()):
            # It had come before.
            self._do_rest(told & ~_LOST)
        while self._came is not None:
            self._read_frames()
        self._lost.set()
        self._end(self._closed(CONNECTION_LOST, "the connection to the gateway was lost"))

    def _drop(self) -> None:
        if self._dropped:
            return
        self._dropped = True
        self._count()
        self._pause()
        self._loop.remove_writer(self._gateway)
        self._lost.set()
        self._pair.part()
        self._sock.close()

    def _count(self) -> None:
        """Add what the core has passed on by itself."""
        received, sent = self._pair.bytes_in, self._pair.bytes_out
        self._progress.received += received - self._counted[0]
        self._progress.sent += sent - self._counted[1]
        self._counted = received, sent
