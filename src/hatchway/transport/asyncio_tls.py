"""TLS on asyncio, for servers that are built on it: it decrypts no more at once than other connections can
wait for.

A record that carries nothing, such as a key update (RFC 8446 section 4.6.3), costs OpenSSL about 10 µs and
its sender 27 bytes; asyncio's own implementation reads 256 KiB at once and decrypts all of it in one turn of
the event loop.
"""

from asyncio import BaseTransport, Transport, sslproto
from collections.abc import Callable
from ssl import SSLError, SSLObject, SSLWantReadError, SSLZeroReturnError
from typing import Any, Final, cast

from hatchway.transport.client_hello import ClientHellos

READ: Final = 16 * 1024
"""Bytes that are read and decrypted in one turn: the size of a record."""
RECORDS: Final = 128
"""TLS records that a client may send for one request, including its handshake, beyond one for each `CARRIED`
bytes."""
CARRIED: Final = 512
"""Bytes of the smallest records that a client may have negotiated (RFC 6066 section 4)."""
DISCARDED: Final = 2 * 1024 * 1024
"""Bytes that a client may still send after the server has closed."""

_HEADER: Final = 5
"""Bytes of a record's header; the last two contain the length of the rest (RFC 8446 section 5.1)."""


class Records:
    """Counts the records of a connection as they arrive, still encrypted."""

    def __init__(self) -> None:
        self._left = RECORDS
        self._carried = 0
        # Bytes to come of a record whose header has come, and the beginning of a header.
        self._rest = 0
        self._stub = b""

    def begin(self) -> None:
        """A request has been answered: the next one may take as many."""
        self._left, self._carried = RECORDS, 0

    def are_too_many(self, received: memoryview) -> bool:
        """Whether there are more records than a request may take, including those that begin in
        `received`."""
        self._carried += len(received)
        if self._rest >= len(received):
            self._rest -= len(received)
            return False
        data = self._stub + received[self._rest :]
        at, end = 0, len(data)
        while at + _HEADER <= end:
            self._left -= 1
            at += _HEADER + (data[at + 3] << 8 | data[at + 4])
        self._stub = data[at:] if at < end else b""
        self._rest = max(0, at - end)
        return self._left + self._carried // CARRIED < 0


class TlsProtocol(sslproto.SSLProtocol):
    """The TLS of one connection. It resets the connection if its records are too many or its handshake too
    costly."""

    max_size = READ
    # asyncio's own:
    _sslobj: SSLObject | None
    _eof_received: bool
    _on_shutdown_complete: Callable[[SSLError], None]
    _control_ssl_reading: Callable[[], None]

    def __init__(self, *arguments: Any, records: Records, received: bytes = b"", **more: Any) -> None:
        """As asyncio's; `received` is what has been read from the connection already."""
        super().__init__(*arguments, **more)
        self._records = records
        self._received = memoryview(received)
        self._buffer = memoryview(b"")
        self._hellos: ClientHellos | None = ClientHellos()
        self._discarded = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin the handshake before anything more is read."""
        super().connection_made(transport)
        while self._received:
            buffer = self.get_buffer(len(self._received))
            size = min(len(buffer), len(self._received))
            buffer[:size] = self._received[:size]
            self._received = self._received[size:]
            self.buffer_updated(size)

    def get_buffer(self, n: int) -> memoryview:
        """Where incoming bytes are read to. They stay encrypted there."""
        self._buffer = super().get_buffer(n)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have been read to it."""
        if not self._asks_too_much(self._buffer[:nbytes]):
            super().buffer_updated(nbytes)
        else:
            self._reset()

    def _do_shutdown(self) -> None:
        """Send the end of TLS and wait for the client's; what it sends until then is discarded.

        asyncio considers that a failure (OpenSSL: "application data after close notify") and resets the
        connection, so that a client that writes before it reads loses the answer that was given before.
        """
        if self._sslobj is not None and not self._eof_received:
            try:
                while chunk := self._sslobj.read(READ):
                    self._discarded += len(chunk)
            except (SSLWantReadError, SSLZeroReturnError):
                pass  # All has been read, or the client has ended too.
            except SSLError as problem:
                self._on_shutdown_complete(problem)
                return
            if self._discarded > DISCARDED:
                self._reset()
                return
        super()._do_shutdown()  # type: ignore[misc]
        self._control_ssl_reading()

    def _reset(self) -> None:
        if self._transport is not None:  # pragma: no branch (what is read has one)
            # The transport of a socket has this method, whatever the type says.
            cast("Transport", self._transport).abort()

    def _asks_too_much(self, received: memoryview) -> bool:
        if self._hellos is not None:
            if self._sslobj is not None and self._sslobj.version() is not None:
                self._hellos = None  # The handshake is over.
            elif self._hellos.are_too_costly(received):
                return True
        return self._records.are_too_many(received)
