"""A TCP connection on the event loop, with back pressure in both directions."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from enum import IntEnum
from fcntl import ioctl
from math import inf
from struct import Struct, pack, unpack
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Final

from hatchway.transport.connection.readiness import BROKEN, READABLE, WRITABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hatchway.transport.connection.readiness import Readiness
    from hatchway.transport.core._core import Pair

HIGH_WATER: Final = 64 * 1024
"""Bytes that the kernel has not taken, above which nothing more should be sent."""

LOW_WATER: Final = HIGH_WATER // 4

_MOST_SENT: Final = 256 * 1024
"""Unsent bytes that the kernel is offered at once."""

_INFO: Final = Struct("=2xBB48xII")
"""Of struct tcp_info (linux/tcp.h): retransmissions and window probes since the last answer, milliseconds
since data and since an acknowledgement came."""

_RESET: Final = pack("ii", 1, 0)

_PROBES: Final = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 6}
"""Seconds to the first question whether the peer is still there, and between two; how many may go without an
answer (tcp(7)). A kernel keeps a connection whose program has closed it for a minute or so."""

_ORPHAN_TIMEOUT: Final = 20_000
"""Milliseconds for which the kernel goes on with a connection that was closed while its peer takes nothing of
what is left (tcp(7), TCP_USER_TIMEOUT). Of its own accord it asks for minutes, with megabytes of each, and
such a connection is nobody's any more: no quota counts it."""


class Hold(IntEnum):
    """A reason not to read from a connection; a bit each."""

    CONNECTING = 1
    BACKLOG = 2
    ENDED = 4
    PACE = 8


class Connection(ABC):
    """One connection. It reports what happens by calling the methods that begin with `on_`.

    It is read while it has no `Hold`, in turns: see `turn`. What the kernel does not take at once is kept,
    and sent in time.
    """

    __slots__ = (
        "_broken",
        "_closing",
        "_descriptor",
        "_finishing",
        "_full",
        "_holds",
        "_queued",
        "_socket",
        "_tells_loss",
        "_unsent",
        "_unsent_size",
        "_watched",
        "pair",
        "readiness",
    )

    is_untrusted = False
    """Whether others go before it: see `readiness`."""

    most_at_once: int
    """Bytes that `receive` takes when there are so many."""

    def __init__(self, readiness: Readiness, sock: socket.socket) -> None:
        """`sock` does not block."""
        self.readiness = readiness
        self._socket = sock
        self._descriptor = sock.fileno()
        self._holds = 0
        self._watched = 0
        self._queued = False
        self._unsent: bytearray | None = None
        self._full = False
        self._broken = False
        self._finishing = False
        self._closing = False
        self._tells_loss = False
        self.pair: Pair | None = None

    # What its owner does when there is something to be read, and what it is told.

    @abstractmethod
    def receive(self, sock: socket.socket) -> int:
        """Read from the socket, once. Returns how many bytes.

        Raises:
            OSError: as the socket does.
        """

    @abstractmethod
    def on_received(self, size: int) -> None:
        """So many bytes have been read. Their memory is reused once this returns."""

    @abstractmethod
    def on_end(self) -> None:
        """The peer has sent a FIN, after all of its data."""

    @abstractmethod
    def on_full(self) -> None:
        """More than `HIGH_WATER` bytes wait for the kernel."""

    @abstractmethod
    def on_ready(self) -> None:
        """Most of them have gone."""

    @abstractmethod
    def on_lost(self) -> None:
        """The connection is gone; the last call."""

    # What its owner does.

    def begin(self) -> None:
        """Read what comes."""
        self._watch()

    @property
    def direct(self) -> int:
        """The socket's descriptor, for whoever may send by it now; -1 when all has to go by `send`."""
        return -1 if self._unsent is not None or self._finishing or self._broken else self._descriptor

    @property
    def is_gone(self) -> bool:
        return self._descriptor < 0

    @property
    def is_full(self) -> bool:
        """Whether so much is unsent that nothing more should be sent: see `on_full`."""
        return self._full

    def hold(self, reasons: int) -> None:
        """Read no more, for these reasons too."""
        # It may stay watched for reading until something comes, which mostly is never.
        self._holds |= reasons
        self.disarm()

    def release(self, reasons: int) -> None:
        """Go on reading, if those were the last reasons not to."""
        if self._holds:
            self._holds &= ~reasons
            if not self._holds:
                self._watch()
                if self.has_more:
                    self._queue()

    def send(self, *chunks: bytes | memoryview) -> None:
        """Send bytes, which may be overwritten once this returns. If the peer has gone, they are
        discarded."""
        if self._descriptor < 0 or self._finishing or self._broken:
            return
        size = sum(map(len, chunks))
        if self._unsent is None:
            try:
                sent = self._socket.sendmsg(chunks)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                # Gone, most often by a reset; what it sent before that has still to be read, if it can be.
                self._broken = True
                self.disarm()
                return
            if sent == size:
                return
            self._unsent = _after(chunks, sent)
        else:
            # One piece of memory, however small the chunks: each send costs as much as it sends.
            for chunk in chunks:
                self._unsent += chunk
        self.disarm()
        self._watch()
        if not self._full and len(self._unsent) > HIGH_WATER:
            self._full = True
            self.on_full()

    def await_loss(self) -> None:
        """Tell of the connection's loss although the peer has sent its FIN and nothing is read any more: it
        may have closed wholly, which its kernel says at the next byte that it gets (RFC 9293 section
        3.6.1)."""
        self._tells_loss = True
        self.disarm()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _PROBES.items():
            self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self._watch()

    def finish(self) -> None:
        """Send a FIN after everything that is unsent, and nothing more."""
        if not self._finishing:
            self._finishing = True
            self.disarm()
            self._when_sent()

    def close(self) -> None:
        """Close when everything has been sent."""
        if not self._closing:
            self._finishing = self._closing = True
            self.disarm()
            self._when_sent()

    def abort(self) -> None:
        """Reset it. All that is unsent is lost, also what the kernel holds and would keep for long."""
        if self._descriptor >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._drop()

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not acknowledged."""
        kept = 0 if self._unsent is None else len(self._unsent)
        if self._descriptor < 0:
            return kept
        return kept + int(unpack("i", ioctl(self._descriptor, TIOCOUTQ, bytes(4)))[0])

    @property
    def unanswered(self) -> float:
        """Seconds for which the peer's kernel has left everything unanswered; 0 while it need not answer, and
        infinity when it has broken off.

        A kernel acknowledges data that its program does not read, and probes of a window that is full, so a
        peer that merely stalls is not silent. Source: tcp(7), TCP_INFO.
        """
        if self._broken:
            return inf
        if self._descriptor < 0:
            return 0.0
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        retransmits, probes, data_received, ack_received = _INFO.unpack(info)
        # An answer sets both counts to 0. The next probe is on its way for up to two minutes.
        if not retransmits and probes < 2:
            return 0.0
        return int(min(data_received, ack_received)) / 1000

    # What readiness tells.

    def happened(self, events: int) -> None:
        if self._unsent is not None and events & (WRITABLE | BROKEN):
            self._send_rest()
        if not events & (READABLE | BROKEN) or self._descriptor < 0 or self._queued:
            return
        if self._tells_loss and events & BROKEN:
            self._drop()
        elif self._holds:
            self._watch()
        else:
            self.have_turn()

    def have_turn(self) -> None:
        """Read, if it may. If there is more, its next turn comes after others have had theirs."""
        self._queued = False
        if not self._holds and self._descriptor >= 0 and self.turn() and not self._holds:
            self._queue()

    @property
    def has_more(self) -> bool:
        """Whether something has been read but not handed over, which the socket cannot report."""
        return self.pair is not None and self.pair.is_told

    def turn(self) -> bool:
        """Read once, and hand over. Returns whether there is likely to be more."""
        # When as many as were asked for came, there are most often more.
        return self._read() == self.most_at_once

    def _queue(self) -> None:
        if not self._queued and self._descriptor >= 0:
            self.disarm()
            self._queued = True
            self.readiness.later(self)

    def _read(self) -> int:
        """Read once, and hand over. Returns how many bytes there were."""
        try:
            size = self.receive(self._socket)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._drop()
            return 0
        if size:
            self.on_received(size)
        else:
            self._input_ends()
        return size

    def disarm(self) -> None:
        """Have nothing carried by the core alone until it has been carried by Python's asking once more."""
        if self.pair is not None:
            self.pair.disarm()

    def _input_ends(self) -> None:
        if self._broken:
            # The error was reported before, by sending.
            self._drop()
        else:
            self.hold(Hold.ENDED)
            self.on_end()
            # Most are closed by now, which ends the watch by itself.
            self._watch()

    def _watch(self) -> None:
        """Watch for what is wanted now."""
        wanted = (0 if self._holds else READABLE) | (0 if self._unsent is None else WRITABLE)
        if self._tells_loss:
            wanted |= BROKEN
        if wanted == self._watched or self._descriptor < 0:
            return
        if not self._watched:
            self.readiness.watch(self._descriptor, wanted, self)
        elif wanted:
            self.readiness.change(self._descriptor, wanted)
        else:
            self.readiness.forget(self._descriptor)
        self._watched = wanted

    def _unwatch(self) -> None:
        if self._watched:
            self.readiness.forget(self._descriptor)
            self._watched = 0

    def _send_rest(self) -> None:
        unsent = self._unsent
        assert unsent is not None
        try:
            with memoryview(unsent) as whole, whole[:_MOST_SENT] as first:
                sent = self._socket.send(first)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._broken = True
            sent = len(unsent)
        # This moves no memory: a bytearray can be cut at its beginning.
        del unsent[:sent]
        if not unsent:
            self._unsent = None
            self._watch()
            self._when_sent()
        if self._full and len(unsent) <= LOW_WATER:
            self._full = False
            self.on_ready()

    def _when_sent(self) -> None:
        """Do what was to be done when everything has been sent, if it has."""
        if self._unsent is not None or self._descriptor < 0:
            return
        if self._closing:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _ORPHAN_TIMEOUT)
            self._drop()
        elif self._finishing:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                # The peer is gone; reading will report it.
                return

    def _drop(self) -> None:
        if self.pair is not None:
            self.pair.part()
        if self._watched:
            self.readiness.closes(self._descriptor)
            self._watched = 0
        self._descriptor = -1
        self._unsent = None
        self._socket.close()
        # Whoever dropped it finishes what it is doing first.
        self.readiness.loop.call_soon(self.on_lost)


def _after(chunks: Iterable[bytes | memoryview], size: int) -> bytearray:
    """What follows the first `size` bytes."""
    rest = bytearray()
    for chunk in chunks:
        if len(chunk) > size:
            rest += chunk[size:] if size else chunk
        size = max(0, size - len(chunk))
    return rest
