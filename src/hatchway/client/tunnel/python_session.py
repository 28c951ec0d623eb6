"""TLS with a gateway by Python's `ssl`, for `asyncio_relay` where the compiled core is not built.

Data is handed over as frames, because there is no core to pass it on. The limits of a call are those of the
core's calls: OpenSSL reads on within one call until there is data, even through thousands of key updates (RFC
8446 section 4.6.3), so it gets only whole records, and few of them between two looks at the clock.
"""

from __future__ import annotations

import os
import ssl
from time import monotonic
from typing import Final

from hatchway.client.tunnel.frames import BINARY, new_key, write_frame
from hatchway.client.tunnel.relay import MAX_FRAME
from hatchway.transport.core.flags import (
    ENCRYPTED,
    END,
    NOTHING,
    OUTGOING,
    PLAIN,
    SIZE_SHIFT,
    TLS_ENDED,
    TLS_FAILED,
)

_TURN: Final = 0.00015
"""Seconds after which others get their turn."""

_HEADER: Final = 5
_RECORD: Final = 16 * 1024
"""Bytes of a record's header, whose last two contain the length of the rest (RFC 8446 section 5.1), and of
the data in the largest record."""

_RECORDS: Final = 16
_SMALL: Final = 1024
_SMALL_COUNTS: Final = 4
"""Records given to OpenSSL between two looks at the clock; bytes up to which a record is small; how many
records a small one counts for."""

_payloads: Final = [memoryview(bytearray(MAX_FRAME)) for _ in range(2)]
"""The buffers into which local input is read: all of it is masked before anything else is read."""

_READ_SIZE: Final = 128 * 1024
"""Bytes read from a gateway at once."""

_MOST: Final = 64 * 1024 + _HEADER + _READ_SIZE
"""Bytes of the record that has begun, whose header says how long it is, and of a read behind that."""

_came: Final = memoryview(bytearray(_MOST))
_plain: Final = memoryview(bytearray(_MOST))
"""The buffers into which every session's bytes are read, and decrypted."""


class PythonSession:
    """It has the interface of the core's `Session`.

    Attributes:
        incoming: what OpenSSL gets during the handshake and the opening.
        outgoing: what is to be sent.
    """

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        """`name` is the gateway's name as it appears in its certificate."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        # The beginning of a record; what was decrypted; and records for the next call.
        self._begun = b""
        self._decrypted = b""
        self._encrypted = b""

    def do_handshake(self) -> None:
        """
        Raises:
            ssl.SSLWantReadError: more has to come.
            ssl.SSLError: the peer does not speak TLS, or is not trusted.
        """
        self._tls.do_handshake()

    def verify_result(self) -> tuple[int, str]:
        """Nothing: `do_handshake` raises what is wrong with a certificate."""
        return 0, ""

    def read(self, size: int, buffer: bytearray | memoryview) -> int:
        """
        Raises:
            ssl.SSLWantReadError: more has to come.
            ssl.SSLError: what has come is not TLS.
        """
        return int(self._tls.read(size, buffer))

    def write(self, data: bytes) -> int:
        """
        Raises:
            ssl.SSLError: the gateway has begun one of TLS's own messages, or ended TLS.
        """
        return self._tls.write(data)

    def unwrap(self) -> None:
        """
        Raises:
            ssl.SSLError: the gateway has not ended TLS yet.
        """
        self._tls.unwrap()

    def pump(self, gateway: int, _outlet: int, _most: int, encrypted: bytes | None) -> int:
        """Read from the gateway once, or take what was read, and decrypt some of it.

        Raises:
            OSError: as the socket does.
        """
        begun = len(self._begun)
        if encrypted is None:
            try:
                size = os.readv(gateway, [_came[begun : begun + _READ_SIZE]])
            except (BlockingIOError, InterruptedError):
                return NOTHING
            if not size:
                return END
            _came[:begun] = self._begun
            came = _came[: begun + size]
        else:
            came = memoryview(self._begun + encrypted)
        at, filled, flags = 0, 0, 0
        until = monotonic() + _TURN
        while not flags and (end := _few_records(came, at)) > at:
            self.incoming.write(came[at:end])
            at = end
            size, flags = self._decrypt(filled)
            filled += size
            if monotonic() > until:
                break
        rest = bytes(came[at:])
        has_more = not flags and _few_records(rest, 0) > 0
        self._encrypted, self._begun = (rest, b"") if has_more else (b"", rest)
        self._decrypted = bytes(_plain[:filled])
        return (
            flags
            | (PLAIN if filled else 0)
            | (ENCRYPTED if has_more else 0)
            | (OUTGOING if self.outgoing.pending else 0)
        )

    def _decrypt(self, start: int) -> tuple[int, int]:
        """How many bytes were in what OpenSSL has been given, and whether TLS has ended with that."""
        filled = start
        try:
            while self.incoming.pending or self._tls.pending():
                size = self.read(_RECORD, _plain[filled:])
                if not size:
                    return filled - start, TLS_ENDED
                filled += size
        except ssl.SSLWantReadError:
            # They had no data.
            pass
        except ssl.SSLError:
            return filled - start, TLS_FAILED
        return filled - start, 0

    def push(self, local: int, _gateway: int, _most: int) -> int:
        """Read local input once, and encrypt it in frames.

        Raises:
            ssl.SSLError: as `write`.
            OSError: as the local end does.
        """
        try:
            size = os.readv(local, _payloads)
        except (BlockingIOError, InterruptedError):
            return NOTHING
        if not size:
            return END
        left = size
        for payload in _payloads:
            if left > 0:
                self._tls.write(write_frame(BINARY, payload[:left], new_key()))
                left -= MAX_FRAME
        return size << SIZE_SHIFT | OUTGOING

    def take_rest(self) -> bytes:
        """Nothing: all data is handed over as frames."""
        return b""

    def take_plain(self) -> bytes:
        """What `pump` has decrypted."""
        taken, self._decrypted = self._decrypted, b""
        return taken

    def take_encrypted(self) -> bytes:
        """What `pump` has left for its next call."""
        taken, self._encrypted = self._encrypted, b""
        return taken


def _few_records(came: bytes | memoryview, start: int) -> int:
    """Where the next few whole records end."""
    at, left = start, _RECORDS
    while left > 0 and at + _HEADER <= len(came):
        size = _HEADER + (came[at + 3] << 8 | came[at + 4])
        if at + size > len(came):
            break
        at += size
        left -= 1 if size > _SMALL else _SMALL_COUNTS
    return at


class NoPair:
    """Replaces the core's pair of sockets: nothing is passed on without Python."""

    bytes_in = 0
    bytes_out = 0
    has_events = False

    def disarm(self) -> None: ...

    def read_client(self) -> None: ...

    def read_target(self) -> None: ...

    def part(self) -> None: ...

    def take_client(self) -> int:
        return 0

    def take_target(self) -> int:
        return 0
