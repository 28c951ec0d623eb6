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
"""Bytes not taken by the kernel above which nothing more should be sent."""

LOW_WATER: Final = HIGH_WATER // 4

_MOST_SENT: Final = 256 * 1024
"""Unsent bytes offered to the kernel at once."""

_INFO: Final = Struct("=2xBB48xII")
"""Part of struct tcp_info (linux/tcp.h): retransmissions and window probes since the last answer,
milliseconds since data and since an acknowledgement came."""

_RESET: Final = pack("ii", 1, 0)

_PROBES: Final = {socket.TCP_KEEPIDLE: 30, socket.TCP_KEEPINTVL: 10, socket.TCP_KEEPCNT: 6}
"""Seconds until the first keep-alive probe, and between two; how many may go unanswered (tcp(7)). A kernel
keeps a connection whose program has closed it for about a minute."""

_ORPHAN_TIMEOUT: Final = 20_000
"""Milliseconds for which the kernel keeps a closed connection whose peer does not receive what is left
(tcp(7), TCP_USER_TIMEOUT). By default it tries for minutes, with megabytes for each, and such a connection
belongs to nobody any more: no quota counts it."""


class Hold(IntEnum):
    """A reason not to read from a connection; a bit each."""

    CONNECTING = 1
    BACKLOG = 2
    ENDED = 4
    PACE = 8


class Connection(ABC):
    """One connection. It reports what happens by calling its methods that begin with `on_`.

    It is read while it has no `Hold`, in turns: see `turn`. What the kernel does not take at once is kept and
    sent later.
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
    """Bytes that `receive` reads if there are so many."""

    def __init__(self, readiness: Readiness, sock: socket.socket) -> None:
        """`sock` is non-blocking."""
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

    # Implemented by the subclass.

    @abstractmethod
    def receive(self, sock: socket.socket) -> int:
        """Read from the socket once. Returns how many bytes.

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
        """Most of them have been sent."""

    @abstractmethod
    def on_lost(self) -> None:
        """The connection is gone. This is the last call."""

    # Called by the subclass and its user.

    def begin(self) -> None:
        """Start to read."""
        self._watch()

    @property
    def direct(self) -> int:
        """The socket's descriptor, for callers that may send on it directly now; -1 if everything must go
        through `send`."""
        return -1 if self._unsent is not None or self._finishing or self._broken else self._descriptor

    @property
    def is_gone(self) -> bool:
        return self._descriptor < 0

    @property
    def is_full(self) -> bool:
        """Whether so much is unsent that nothing more should be sent: see `on_full`."""
        return self._full

    def hold(self, reasons: int) -> None:
        """Stop reading, for these reasons too."""
        # It may stay watched for reading until something comes, which is mostly never.
        self._holds |= reasons
        self.disarm()

    def release(self, reasons: int) -> None:
        """Go on reading, if these were the last reasons not to."""
        if self._holds:
            self._holds &= ~reasons
            if not self._holds:
                self._watch()
                if self.has_more:
                    self._queue()

    def send(self, *chunks: bytes | memoryview) -> None:
        """Send bytes, which may be overwritten once this returns. They are discarded if the peer has gone."""
        if self._descriptor < 0 or self._finishing or self._broken:
            return
        size = sum(map(len, chunks))
        if self._unsent is None:
            try:
                sent = self._socket.sendmsg(chunks)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                # The peer has gone, mostly by a reset; what it sent before still has to be read, if it can
                # be.
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
        """Report the loss of the connection although the peer has sent its FIN and nothing is read any more.
        The peer may have closed completely, which its kernel says about the next byte that it receives (RFC
        9293 section 3.6.1)."""
        self._tells_loss = True
        self.disarm()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _PROBES.items():
            self._socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self._watch()

    def finish(self) -> None:
        """Send a FIN after everything that is unsent, and nothing after that."""
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
        """Reset the connection. Everything unsent is lost, including what the kernel would keep for long."""
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
        infinity if the connection is broken.

        A kernel acknowledges data that its program does not read, and probes of a full window, so a peer that
        merely stalls is not silent. Source: tcp(7), TCP_INFO.
        """
        if self._broken:
            return inf
        if self._descriptor < 0:
            return 0.0
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        retransmits, probes, data_received, ack_received = _INFO.unpack(info)
        # An answer resets both counts. The next probe may be on its way for up to two minutes.
        if not retransmits and probes < 2:
            return 0.0
        return int(min(data_received, ack_received)) / 1000

    # Called by `Readiness`.

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
        """Read, if that is allowed. If there is more, the next turn comes after others have had theirs."""
        self._queued = False
        if not self._holds and self._descriptor >= 0 and self.turn() and not self._holds:
            self._queue()

    @property
    def has_more(self) -> bool:
        """Whether something has been read but not handed over: the socket cannot report that."""
        return self.pair is not None and self.pair.has_events

    def turn(self) -> bool:
        """Read once and hand over. Returns whether there is likely to be more."""
        # If as many came as were asked for, there are usually more.
        return self._read() == self.most_at_once

    def _queue(self) -> None:
        if not self._queued and self._descriptor >= 0:
            self.disarm()
            self._queued = True
            self.readiness.later(self)

    def _read(self) -> int:
        """Read once and hand over. Returns how many bytes there were."""
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
        """Stop the core from carrying bytes by itself until Python has carried some and re-armed it."""
        if self.pair is not None:
            self.pair.disarm()

    def _input_ends(self) -> None:
        if self._broken:
            # The error was reported before, when sending.
            self._drop()
        else:
            self.hold(Hold.ENDED)
            self.on_end()
            # Most are closed by now, which ends the watch by itself.
            self._watch()

    def _watch(self) -> None:
        """Watch for the events that are wanted now."""
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
        """If everything has been sent, do what was to be done then."""
        if self._unsent is not None or self._descriptor < 0:
            return
        if self._closing:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _ORPHAN_TIMEOUT)
            self._drop()
        elif self._finishing:
            try:
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                # The peer is gone; reading will report that.
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
        # The caller finishes first what it is doing.
        self.readiness.loop.call_soon(self.on_lost)


def _after(chunks: Iterable[bytes | memoryview], size: int) -> bytearray:
    """What follows the first `size` bytes."""
    rest = bytearray()
    for chunk in chunks:
        if len(chunk) > size:
            rest += chunk[size:] if size else chunk
        size = max(0, size - len(chunk))
    return rest
