"""The target's side of a tunnel: a TCP connection to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from hatchway.transport.connection.tcp import Connection, Hold
from hatchway.transport.core.flags import END, FAILED, FLAGS, FULL
from hatchway.transport.websocket.frames import binary_header

if TYPE_CHECKING:
    import asyncio
    import socket

    from hatchway.transport.connection.readiness import Readiness

LINGER: Final = 5.0
"""Seconds for a target to end its side once it has acknowledged everything and a FIN."""

_LINGER_CHECK: Final = 0.25

_HEADER: Final = 4
_FRAME: Final = 64 * 1024
"""Bytes of a full frame, header included: whole TLS records, and a length that fits in 16 bits."""

_MOST: Final = _FRAME - _HEADER
_FULL: Final = binary_header(_MOST)
"""The header of a full frame."""

_COUNT: Final = 8
"""Frames read at once. Fewer take more CPU; more make a client that does not read occupy more memory."""

_PIECE: Final = 2 * _FRAME
"""Bytes encrypted at once. Two frames take a tenth less CPU than one; more than two save little."""

_frames: Final = memoryview(bytearray(_COUNT * _FRAME))
"""The buffer into which every target's bytes are read, with room for frame headers between them.

All tunnels of a worker share it: its content is encrypted for the client before anything else runs.
"""
_payloads: Final = [_frames[at + _HEADER : at + _FRAME] for at in range(0, len(_frames), _FRAME)]


class TargetEnd(Protocol):
    """What a target reports to."""

    def carried_out(self) -> None:
        """The core has read from the target's socket and passed that on, perhaps not all of it."""

    def carry_out(self, descriptor: int) -> int | None:
        """Read from the target's socket once and pass that on, if it needs nothing of this module.

        Returns:
            What the core's `push` returns; None if the caller has to read.

        Raises:
            OSError: as the socket does.
        """

    def target_sent(self, frames: list[memoryview], size: int) -> None:
        """The target sent `size` bytes. `frames` holds them as frames, several in each item, until this
        returns."""

    def target_full(self) -> None: ...
    def target_ready(self) -> None: ...
    def target_ended(self) -> None:
        """The target sent a FIN, after all of its data."""

    def target_overdue(self) -> None:
        """The target had `LINGER` to end its side and has not done so."""

    def target_lost(self) -> None:
        """The connection is gone."""


class Target(Connection):
    """A connection to a target, once it is established."""

    __slots__ = ("_end", "_linger_timer")

    most_at_once = _COUNT * _MOST

    def __init__(self, end: TargetEnd, readiness: Readiness, sock: socket.socket) -> None:
        super().__init__(readiness, sock)
        self._end = end
        self._linger_timer: asyncio.TimerHandle | None = None

    # Called by the connection.

    def turn(self) -> bool:
        pair = self.pair
        if pair is not None and (result := pair.take_target()):
            self._end.carried_out()
        else:
            try:
                carried = self._end.carry_out(self._descriptor)
            except OSError:
                self._drop()
                return False
            if carried is None:
                return super().turn()
            result = carried
            if pair is not None and not result & FLAGS & ~FULL:
                # The core is notified again of what is left.
                pair.read_target()
                return False
        if result & FAILED:
            self._drop()
        elif result & END:
            self._input_ends()
        return bool(result & FULL)

    def receive(self, sock: socket.socket) -> int:
        return sock.recvmsg_into(_payloads)[0]

    def on_received(self, size: int) -> None:
        full, rest = divmod(size, _MOST)
        end = full * _FRAME
        for at in range(0, end, _FRAME):
            _frames[at : at + _HEADER] = _FULL
        frames = [_frames[at : min(at + _PIECE, end)] for at in range(0, end, _PIECE)]
        if rest:
            header = binary_header(rest)
            start = end + _HEADER - len(header)
            _frames[start : end + _HEADER] = header
            frames.append(_frames[start : end + _HEADER + rest])
        self._end.target_sent(frames, size)

    def on_end(self) -> None:
        self._end.target_ended()
        # If the client ended before, that was all, and the connection is closed.
        if not self.is_gone:
            self.await_loss()

    def on_full(self) -> None:
        self._end.target_full()

    def on_ready(self) -> None:
        self._end.target_ready()

    def on_lost(self) -> None:
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._end.target_lost()

    # Called by the tunnel.

    def end_input(self) -> None:
        """Send a FIN after everything that is unsent, and go on reading as long as the target sends."""
        super().finish()

    def finish(self) -> None:
        """Send a FIN after everything that is unsent. After that, the target has `LINGER` to end its own
        side.

        Closing at once would send a reset instead if unread bytes of the target are waiting, and a reset
        makes the target's kernel discard what the target has not read yet.
        """
        super().finish()
        self.release(Hold.BACKLOG)
        # Whether it has acknowledged everything is checked later: by then most have ended.
        self._linger_after(LINGER)

    def _linger(self, left: float) -> None:
        if self.is_gone:
            return
        if left <= 0:
            self._end.target_overdue()
            return
        self._linger_after(LINGER if self.unsent else left - _LINGER_CHECK)

    def _linger_after(self, left: float) -> None:
        if not self.is_gone:
            self._linger_timer = self.readiness.loop.call_later(_LINGER_CHECK, self._linger, left)
