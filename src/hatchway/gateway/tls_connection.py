"""TLS on a TCP connection.

What has been read is decrypted and handed over before more is read, and what is written is encrypted and
sent before `write` returns. So TLS itself holds back nothing but the beginning of a record, in either
direction, and the end of a connection cannot overtake what came before it.
"""

from __future__ import annotations

import ssl
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from hatchway.gateway.connection import Connection, Hold

if TYPE_CHECKING:
    import asyncio
    import socket

    from hatchway.gateway.readiness import Readiness

PORTION: Final = 176 * 1024
"""Bytes read from a client at once, still encrypted: what the two sides of a stalled tunnel may hold besides
what is unsent. 112 KiB take a twentieth more CPU, 64 a fifth more; 240 would let a tunnel hold too much."""

FAREWELL: Final = 5.0
"""Seconds that a client has to answer the end of TLS, and to take what was sent before."""

MOST_READS: Final = 64
"""Reads in which a client has to get through TLS and its request. It needs a few; one that sends a byte at a
time would have each of them cost as much as any."""

_portion: Final = memoryview(bytearray(PORTION))
"""Where every client's bytes are read to. They are decrypted before anything else runs."""


class TlsConnection(Connection):
    """The server's side of one."""

    __slots__ = ("_farewell", "_incoming", "_outgoing", "_reads_left", "_shaking", "_tls")

    most_at_once = PORTION

    def __init__(self, readiness: Readiness, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(readiness, sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaking = True
        self._reads_left: int | None = MOST_READS
        self._farewell: asyncio.TimerHandle | None = None

    # What its owner is told, besides what it is told of a connection.

    @abstractmethod
    def room(self) -> memoryview:
        """Where decrypted bytes may be put."""

    @abstractmethod
    def on_decrypted(self, size: int) -> None:
        """So many bytes have been put there."""

    # What its owner does.

    def take(self, received: bytes) -> None:
        """Take what was read from the socket before this connection was made, all of it the client's."""
        if received:
            self._incoming.write(received)
            self._decrypt()

    def trust(self) -> None:
        """Read as often as there is something, from now on."""
        self._reads_left = None

    def write(self, *pieces: bytes | memoryview) -> None:
        """Encrypt each piece, and send them. Nothing follows the end of TLS.

        OpenSSL's memory BIO takes any amount, and nothing but a renegotiation, which the TLS context forbids,
        could make it wait. It grows to the largest piece, and stays so large.
        """
        if self._farewell is not None or self.is_gone:
            return
        tls, outgoing = self._tls, self._outgoing
        encrypted = []
        for piece in pieces:
            tls.write(piece)
            encrypted.append(outgoing.read())
        self.send(*encrypted)

    def shut(self, last: bytes = b"") -> None:
        """End TLS behind everything that was written, and this, then TCP: when the client has ended it too.

        It is reset when it has not, or not taken everything, within `FAREWELL`.
        """
        if self._farewell is not None or self.is_gone:
            return
        if self._shaking:
            self.abort()
            return
        self._limit_farewell()
        if last:
            self._tls.write(last)
        # It would like to have the client's answer at once.
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self.send(self._outgoing.read())

    # What is told of the connection.

    def receive(self, sock: socket.socket) -> int:
        return sock.recv_into(_portion)

    def on_received(self, size: int) -> None:
        if self._reads_left is not None:
            self._reads_left -= 1
            if self._reads_left < 0:
                self.abort()
                return
        self._incoming.write(_portion[:size])
        self._decrypt()

    def on_end(self) -> None:
        self._part()

    def on_lost(self) -> None:
        if self._farewell is not None:
            self._farewell.cancel()

    def _decrypt(self) -> None:
        tls, incoming = self._tls, self._incoming
        try:
            if self._shaking:
                tls.do_handshake()
                self._shaking = False
            while (incoming.pending or tls.pending()) and not self._holds & Hold.ENDED and not self.is_gone:
                self._hand_over()
        except ssl.SSLWantReadError:
            # The rest of a record is yet to come.
            pass
        except ssl.SSLError:
            # That was no TLS, or was tampered with, which an alert says.
            self.send(self._outgoing.read())
            self.hold(Hold.ENDED)
            self._limit_farewell()
            self.close()
        if self._outgoing.pending:
            self.send(self._outgoing.read())

    def _hand_over(self) -> None:
        """Fill the room that there is.

        Raises:
            SSLError: see `SSLObject.read`. What came before it has been handed over.
        """
        tls, incoming = self._tls, self._incoming
        room, filled, ended = self.room(), 0, False
        try:
            # One record at most comes of each call.
            while filled < len(room) and not ended and (incoming.pending or tls.pending()):
                size: int = tls.read(len(room) - filled, room[filled:])  # type: ignore[assignment]
                filled += size
                ended = not size
        finally:
            if filled and self._farewell is None:
                self.on_decrypted(filled)
        if ended:
            self._part()

    def _part(self) -> None:
        """The client has ended TLS, or TCP. So does the gateway, behind everything that was written."""
        # What follows the end of TLS is nobody's.
        self.hold(Hold.ENDED)
        self.shut()
        self.close()

    def _limit_farewell(self) -> None:
        if self._farewell is None and not self.is_gone:
            self._farewell = self.readiness.loop.call_later(FAREWELL, self.abort)
