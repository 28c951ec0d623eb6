"""The target's side of a tunnel: a TCP connection to a host."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final, Protocol, cast

from hatchway.gateway.flow import Valve, reset, unsent_bytes
from hatchway.gateway.transparency import take_address

if TYPE_CHECKING:
    from hatchway.domain.reach import Address

CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which a target must answer."""

WRITE_HIGH_WATER: Final = 64 * 1024
"""Bytes waiting for the target, above which the client is no longer read."""

LINGER: Final = 5.0
"""Seconds that a target has to end its side, once it has acknowledged everything and a FIN."""

_LINGER_CHECK: Final = 0.25

_HEADROOM: Final = 4
_MOST_IN_FRAME: Final = 65_535
"""Bytes: the most that a frame's 16-bit length can say (RFC 6455 section 5.2)."""

_BLOCK: Final = 8 * _MOST_IN_FRAME
"""Bytes read from a target at once. Fewer take more CPU, with half as many an eighth; more make a client that
does not read hold more memory."""

_FIRST_BLOCK: Final = 4096
"""Bytes read at once until the tunnel can pause its target; uvloop begins before, and reads 32 times."""

_BINARY: Final = 0x82
"""The first byte of a final BINARY frame."""

_frames: Final = memoryview(bytearray(_HEADROOM + _BLOCK))
"""Where every target's bytes are read to, behind room for a frame header.

One buffer serves all tunnels of a worker: a block is encrypted for its client before anything else runs. So
the header of a block's second frame can take the place of the last bytes of the first one.
"""
_block: Final = _frames[_HEADROOM:]
_first_block: Final = _frames[_HEADROOM : _HEADROOM + _FIRST_BLOCK]


class TargetEnd(Protocol):
    """What a target talks to."""

    def target_sent(self, frame: memoryview, size: int) -> None:
        """The target sent `size` bytes; `frame` is they in a frame, valid until this returns."""

    def target_full(self) -> None: ...
    def target_ready(self) -> None: ...
    def target_ended(self) -> None: ...
    def target_lost(self) -> None: ...


class Target(asyncio.BaseProtocol):
    """One connection to a target."""

    __slots__ = (
        "_block",
        "_end",
        "_ended",
        "_finished",
        "_linger_timer",
        "_loop",
        "_socket",
        "_transport",
        "lost",
        "valve",
    )

    def __init__(self, end: TargetEnd, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._block = _first_block
        self._end = end
        self._socket = sock
        self._loop = loop
        self._ended = False
        self._finished = False
        self._linger_timer: asyncio.TimerHandle | None = None
        self.lost = False

    # Called by TCP.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self.valve = Valve(self._transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_HIGH_WATER // 4)

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._block

    def buffer_updated(self, size: int) -> None:
        at = 0
        while size > 0:
            length = min(size, _MOST_IN_FRAME)
            if length < 126:
                start = at + 2
                _frames[start] = _BINARY
                _frames[start + 1] = length
            else:
                start = at
                _frames[start] = _BINARY
                _frames[start + 1] = 126
                _frames[start + 2] = length >> 8
                _frames[start + 3] = length & 0xFF
            self._end.target_sent(_frames[start : at + _HEADROOM + length], length)
            at += length
            size -= length

    def eof_received(self) -> bool:
        self._ended = True
        self._end.target_ended()
        # It may still read: what the client sends meanwhile is not lost.
        return not self._finished

    def pause_writing(self) -> None:
        self._end.target_full()

    def resume_writing(self) -> None:
        self._end.target_ready()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.lost = True
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._end.target_lost()

    # Called by the tunnel.

    def attached(self) -> None:
        """The tunnel uses the valve from now on."""
        self._block = _block

    def write(self, payload: memoryview) -> None:
        """Send bytes that are valid only until this returns; what the kernel does not take now is copied."""
        if self.lost or self._finished or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() == 0:
            try:
                sent = self._socket.send(payload)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                # Gone, most often by a reset; what it sent before that has still to be read, if it can be.
                return
            if sent == len(payload):
                return
            payload = payload[sent:]
        self._transport.write(bytes(payload))

    def finish(self) -> None:
        """Let go of the target: it gets everything written, a FIN, then has `LINGER` to end its own side.

        Closing at once would send a reset instead when unread bytes of the target's are waiting, and a reset
        makes its kernel forget what it has not read yet.
        """
        if self._finished or self.lost:
            return
        self._finished = True
        if self._ended:
            self._transport.close()
        elif not self._transport.is_closing():
            self._transport.write_eof()
            self._transport.resume_reading()
            self._linger(LINGER)

    def _linger(self, patience: float) -> None:
        if self.lost:
            return
        if patience <= 0:
            self._transport.abort()
            return
        patience = LINGER if unsent_bytes(self._transport) else patience - _LINGER_CHECK
        self._linger_timer = self._loop.call_later(_LINGER_CHECK, self._linger, patience)

    def abort(self) -> None:
        """Let go at once."""
        reset(self._transport)


async def connect(
    end: TargetEnd, address: Address, port: int, source: Address | None = None, preface: bytes = b""
) -> Target:
    """Connect to a TCP port, from the given address or one of the machine's own. The caller limits the time.

    The target gets `preface` before anything else. Nothing has been sent yet, so it goes out in one piece.

    Raises:
        OSError: refused, unreachable, or the like.
    """
    loop = asyncio.get_running_loop()
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            take_address(sock, source)
        await loop.sock_connect(sock, (str(address), port))
        if preface:
            await loop.sock_sendall(sock, preface)
        _, target = await loop.create_connection(lambda: Target(end, sock, loop), sock=sock)
    except BaseException:
        sock.close()
        raise
    return target
