"""TLS on a TCP connection.

What has been read is decrypted and handed over before more is read, and what is written is encrypted and sent
before `write` returns. So TLS itself holds back at most the beginning of a record in either direction, and
the end of a connection cannot overtake what came before it.
"""

from __future__ import annotations

import ssl
from abc import abstractmethod
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final

from hatchway.transport.client_hello import ClientHellos
from hatchway.transport.connection.allowance import EMPTY_RECORD, FREE, SMALL_RECORD, Allowance
from hatchway.transport.connection.tcp import Connection, Hold

if TYPE_CHECKING:
    import asyncio
    import socket

    from hatchway.transport.connection.readiness import Readiness
    from hatchway.transport.core._core import Queue, Session

READ_SIZE: Final = 176 * 1024
"""Bytes read from a client at once, still encrypted: the most that a connection that is not read may hold
besides what is unsent. 112 KiB take a twentieth more CPU, 64 KiB a fifth more; 240 KiB would take too much
memory."""

CLOSE_TIMEOUT: Final = 5.0
"""Seconds for a client to answer the end of TLS (close_notify) and to receive what was sent before."""

MAX_UNTRUSTED_READS: Final = 64
"""Reads within which a client must complete TLS and its request. It needs a few; for a client that sends
single bytes, each read costs as much as any other."""

MAX_EMPTY_RECORDS: Final = 32
"""TLS records without data that such a client may send after its handshake. A key update costs 20 to 50 µs,
and one read may contain thousands of them."""

TURN: Final = 0.00015
"""Seconds after which other connections get their turn. What has begun is completed, which is bounded: 16
records, or 4 small ones; 128 frames, and a write of their payloads."""

_HEADER: Final = 5
"""Bytes of a TLS record's header; the last two contain the length of the rest (RFC 8446 section 5.1)."""

_RECORDS: Final = 16
_SMALL: Final = 1024
_SMALL_COUNTS: Final = 4
"""Records given to OpenSSL at once; bytes up to which a record is small; how many records a small one counts
for. OpenSSL reads on within one call until there is data, even through thousands of key updates."""

_read_buffer: Final = memoryview(bytearray(READ_SIZE + _HEADER))
"""The buffer into which every client's bytes are read. What has not been decrypted when a turn is over is
copied."""

_read_start: Final = _read_buffer[:READ_SIZE]

_unheeded: Final = memoryview(bytearray(16 * 1024))
"""The buffer into which what follows the server's end of TLS is decrypted: nobody has a use for it."""

SMALL_READ_SIZE: Final = 20 * 1024
"""Bytes read at once from a client that has used up its allowance: processing them takes several turns
anyway."""


class TlsConnection(Connection):
    """The server's side of a TLS connection.

    Attributes:
        cost: of the present turn, in microseconds: see `allowance`. The subclass adds to it.
        waste: how many frames and records of the present turn can carry nothing. The subclass adds to it.
        is_untrusted: whether its request is yet to come: see `trust`.
    """

    __slots__ = (
        "_allowance",
        "_carried",
        "_empty_left",
        "_encrypted",
        "_ended",
        "_failed",
        "_handshaking",
        "_hellos",
        "_incoming",
        "_outgoing",
        "_reads_left",
        "_record_left",
        "_records",
        "_shut_timer",
        "_slowed",
        "_stub",
        "_tls",
        "cost",
        "is_untrusted",
        "waste",
    )

    most_at_once = READ_SIZE

    def __init__(self, readiness: Readiness, sock: socket.socket, tls: ssl.SSLContext | Session) -> None:
        """`tls` makes the TLS session, or is a new session of the core."""
        super().__init__(readiness, sock)
        self._incoming: ssl.MemoryBIO | Queue
        self._outgoing: ssl.MemoryBIO | Queue
        self._tls: ssl.SSLObject | Session
        self._hellos: ClientHellos | None = None
        if isinstance(tls, ssl.SSLContext):
            self._hellos = ClientHellos()
            self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        else:
            self._incoming, self._outgoing, self._tls = tls.incoming, tls.outgoing, tls
        self._handshaking = True
        self.is_untrusted = True
        self._reads_left = MAX_UNTRUSTED_READS
        self._empty_left = MAX_EMPTY_RECORDS
        self._shut_timer: asyncio.TimerHandle | None = None
        # What OpenSSL has not been given yet: records, or the beginning of a header.
        self._encrypted: memoryview | None = None
        self._stub = b""
        # Bytes to come of a record whose beginning OpenSSL has; records for which it has returned nothing
        # yet.
        self._record_left = 0
        self._records = 0
        # The client has ended TLS, or has sent something that is not TLS.
        self._ended = False
        self._failed = False
        self._allowance: Allowance | None = None
        self._slowed = False
        self._carried = 0
        self.cost = 0
        self.waste = 0

    # Implemented by the subclass, besides the methods of `Connection`.

    @abstractmethod
    def room(self) -> memoryview:
        """Where decrypted bytes may be put."""

    @abstractmethod
    def on_decrypted(self, size: int) -> None:
        """So many bytes have been put there."""

    @property
    def behind(self) -> bool:
        """Whether `go_on` has work to do that must be done before anything is decrypted."""
        return False

    def go_on(self) -> None:
        """Do some more of the work that `on_decrypted` has left."""

    def on_waste(self) -> None:
        """The client has sent more than it may of records and frames that can carry nothing."""
        self.abort()

    # Called by the subclass and its user.

    def take(self, received: bytes) -> None:
        """Take what was read from the socket before this connection was made. All of it came from the
        client."""
        if received:
            self._encrypted = memoryview(received)
            self.have_turn()

    def trust(self) -> None:
        """From now on, read as often and as much as there is."""
        self._unwatch()
        self.is_untrusted = False
        self._watch()

    def write(self, *pieces: bytes | memoryview) -> None:
        """Encrypt each piece and send it. Nothing follows the end of TLS or its failure.

        OpenSSL's memory BIO takes any amount. It grows to the size of the largest piece and keeps that size.
        It could be made to wait by a renegotiation, which the TLS context forbids, or by a client that sends
        the beginning of one of TLS's own messages, such as a key update, and holds back the rest: only
        attackers do that.
        """
        if self._shut_timer is not None or self._failed or self.is_gone:
            return
        tls, outgoing = self._tls, self._outgoing
        encrypted = []
        try:
            for piece in pieces:
                tls.write(piece)
                encrypted.append(outgoing.read())
        except ssl.SSLError:
            self._fail()
            return
        self.send(*encrypted)

    def shut(self, last: bytes = b"") -> None:
        """End TLS after everything that was written and `last`; then end TCP, once the client has ended TLS
        too.

        The connection is reset if the client has not done so, or has not received everything, within
        `CLOSE_TIMEOUT`.
        """
        if self._shut_timer is not None or self.is_gone:
            return
        self.disarm()
        if self._handshaking:
            self.abort()
            return
        self._limit_close()
        if self._failed:
            # What was read last is being handed over. The alert for the failure comes after it and closes.
            return
        # OpenSSL raises because the client has not answered yet, or for the reasons that make `write` fail.
        with suppress(ssl.SSLError):
            if last:
                self._tls.write(last)
            self._tls.unwrap()
        self.send(self._outgoing.read())

    # Called by `Connection`.

    @property
    def has_more(self) -> bool:
        return (
            (self.pair is not None and self.pair.has_events)
            or self._encrypted is not None
            or bool(self._incoming.pending)
            or bool(self._tls.pending())
            or (self.behind and self._shut_timer is None)
            or self._ended
            or self._failed
        )

    def turn(self) -> bool:
        """Decrypt and hand over what is left, then read once, as long as there is time."""
        until, read, full = monotonic() + TURN, False, False
        while not self._holds and self._descriptor >= 0:
            if self._shut_timer is None and self.behind:
                self.go_on()
            elif self._ended or self._failed:
                self._end_of_input()
            elif self._encrypted is not None or self._incoming.pending or self._tls.pending():
                self._decrypt(until)
            elif read:
                break
            else:
                read, full = True, self._read() >= SMALL_READ_SIZE
            if monotonic() > until:
                break
        if self._encrypted is not None and self._encrypted.obj is _read_buffer.obj:
            self._encrypted = memoryview(bytes(self._encrypted))
        self._end_turn()
        return full or self.has_more

    def receive(self, sock: socket.socket) -> int:
        stub = self._stub
        if not stub and not self._slowed:
            return sock.recv_into(_read_start)
        _read_buffer[: len(stub)] = stub
        most = SMALL_READ_SIZE if self._slowed else READ_SIZE
        return sock.recv_into(_read_buffer[len(stub) : len(stub) + most])

    def on_received(self, size: int) -> None:
        if self.is_untrusted:
            self._reads_left -= 1
            if self._reads_left < 0:
                self.abort()
                return
        self._encrypted = _read_buffer[: len(self._stub) + size]
        self._stub = b""

    def on_end(self) -> None:
        self._end_tls()

    def on_lost(self) -> None:
        if self._shut_timer is not None:
            self._shut_timer.cancel()

    def _end_turn(self) -> None:
        if self.cost > FREE or self.waste:
            self._pay()
        else:
            self._slowed = False
        self.cost = self._carried = 0

    def _pay(self) -> None:
        """Count the cost of this turn, and stop reading for a while if it is too much."""
        waste, self.waste = self.waste, 0
        now = monotonic()
        allowance = self._allowance
        if allowance is None:
            allowance = self._allowance = Allowance(now, self.readiness.shared)
        # Key updates are answered even if the client receives nothing: then no bytes make up for them.
        carried = 0 if self.is_full else self._carried
        if waste and self._shut_timer is None and allowance.waste(waste, carried, now):
            self.on_waste()
        pause = allowance.spend(self.cost - FREE, self._carried, now)
        if pause and self._descriptor >= 0:
            self._slowed = True
            self.hold(Hold.PACE)
            self.readiness.loop.call_later(pause, self._pause_over)

    def _pause_over(self) -> None:
        self.release(Hold.PACE)
        # What has accumulated is read after the other connections have had their turns.
        if not self._holds:
            self._queue()

    def _decrypt(self, until: float) -> None:
        """Fill the available room as long as there is time, and hand over its content."""
        tls, incoming = self._tls, self._incoming
        room, filled, reads, fed = None, 0, 0, False
        try:
            while True:
                if incoming.pending or tls.pending():
                    try:
                        if self._handshaking:
                            tls.do_handshake()
                            self._handshaking = False
                            self._hellos = None
                            self._records = 0
                            continue
                        if room is None:
                            room = self.room() if self._shut_timer is None else _unheeded
                        # Each call returns at most one record.
                        size: int = tls.read(len(room) - filled, room[filled:])  # type: ignore[assignment]
                    except ssl.SSLWantReadError:
                        # OpenSSL has consumed everything, and it completed no record with data.
                        continue
                    if not size:
                        self._ended = True
                        break
                    reads += 1
                    filled += size
                    if filled == len(room):
                        break
                elif self._encrypted is not None and not (fed and monotonic() > until):
                    self._feed(self._encrypted)
                    fed = True
                else:
                    break
        except ssl.SSLError:
            self._failed = True
        if not self._handshaking:
            self._count(reads)
        if filled and self._shut_timer is None and not self.is_gone:
            self._carried += filled
            self.on_decrypted(filled)
        if self._outgoing.pending:
            self.send(self._outgoing.read())

    def _feed(self, encrypted: memoryview) -> None:
        """Give OpenSSL the next few records."""
        at, end, left, whole = self._record_left, len(encrypted), _RECORDS, 0
        while at < end and left > 0:
            if at + _HEADER > end:
                self._stub = bytes(encrypted[at:])
                end = at
                break
            whole += 1
            length = encrypted[at + 3] << 8 | encrypted[at + 4]
            if length > _SMALL:
                left -= 1
            else:
                left -= _SMALL_COUNTS
                self.cost += SMALL_RECORD
            at += _HEADER + length
        cut = min(at, end)
        if self._hellos is not None and self._hellos.are_too_costly(encrypted[:cut]):
            self.abort()
            self._encrypted = None
            return
        self._record_left = at - cut
        self._records += whole
        self._incoming.write(encrypted[:cut])
        self._encrypted = encrypted[cut:end] if cut < end else None

    def _count(self, reads: int) -> None:
        """Count the records that had no data; `reads` is how many had some."""
        self._records -= reads
        if self._incoming.pending or self._tls.pending():
            return
        # The last one may be incomplete.
        begun = self._record_left > 0
        empty, self._records = self._records - begun, int(begun)
        if empty > 0:
            self.cost += empty * EMPTY_RECORD
            self.waste += empty
            self._empty_left -= empty
            if self.is_untrusted and self._empty_left < 0:
                self.abort()

    def _fail(self) -> None:
        """Nothing more can be written. The connection ends once what was read has been handed over."""
        self._failed = True
        self._queue()

    def _end_of_input(self) -> None:
        """The client's input has ended, and everything before that has been handed over."""
        if self._ended:
            self._ended = False
            self._end_tls()
        else:
            # It was not TLS, or was tampered with. An alert says so.
            self._failed = False
            self.hold(Hold.ENDED)
            self._limit_close()
            self.close()

    def _end_tls(self) -> None:
        """The client has ended TLS, or TCP. The server does the same after everything that was written."""
        # What follows the end of TLS is ignored.
        self.hold(Hold.ENDED)
        self.shut()
        self.close()

    def _limit_close(self) -> None:
        if self._shut_timer is None and not self.is_gone:
            self._shut_timer = self.readiness.loop.call_later(CLOSE_TIMEOUT, self.abort)
