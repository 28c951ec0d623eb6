"""One tunnel through a proxy, as its client has it: TLS, and in it bytes or a WebSocket.

What the load costs must not decide what is measured. So bulk data is encrypted before the clock starts, and
what comes back is counted by the kernel and not decrypted; that the bytes are right is checked apart.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Protocol

from bench.gateway.target import GREETING, LENGTH, PIECE, at_pace

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = PIECE
"""Bytes to a message, the AWS CLI's own."""

SETTLED = 0.2
"""Seconds of silence after which nothing more is expected."""

CLOSE_FRAME = b"\x88\x82\0\0\0\0\x03\xe8"
_MASK = b"\x9a\x3c\x51\xe7"
_BINARY = 0x82


class Side(Protocol):
    """A proxy, as clients see it. `request` is what opens a WebSocket, None where bytes go bare."""

    address: tuple[str, int]

    def request(self) -> bytes | None: ...


def client_context() -> ssl.SSLContext:
    """Every side is offered the same. The certificate is not checked: that would be the client's time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


CONTEXT = client_context()


def frame(payload: bytes) -> bytes:
    """A masked BINARY frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", _BINARY, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", _BINARY, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", _BINARY, 0x80 | 127, size)
    key = int.from_bytes((_MASK * (size // 4 + 1))[:size], "big")
    return head + _MASK + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


@cache
def _message(size: int) -> bytes:
    return frame(bytes(size))


class Tunnel:
    """An open tunnel whose target has said hello. Blocking."""

    def __init__(self, side: Side) -> None:
        self.sock = socket.create_connection(side.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = CONTEXT.wrap_bio(self._in, self._out)
        self._raw = b""
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
        self._flush()
        request = side.request()
        self.websocket = request is not None
        if request is not None:
            self._tls.write(request)
            self._flush()
            while b"\r\n\r\n" not in self._raw:
                self._raw += self._read()
            head, _, self._raw = self._raw.partition(b"\r\n\r\n")
            check_upgraded(head)
        if self.read(1) != GREETING:
            raise ConnectionError("the target did not greet")

    @property
    def suite(self) -> str:
        """The name of TLS's cipher suite (RFC 8446 appendix B.4)."""
        negotiated = self._tls.cipher()
        assert negotiated is not None
        return negotiated[0]

    @property
    def cipher(self) -> str:
        return str(self._tls.cipher())

    def _flush(self) -> None:
        if self._out.pending:
            self.sock.sendall(self._out.read())

    def _fill(self) -> None:
        data = self.sock.recv(1 << 18)
        if not data:
            raise ConnectionError("the proxy left")
        self._in.write(data)

    def _read(self) -> bytes:
        while True:
            try:
                data = self._tls.read(1 << 18)
            except ssl.SSLWantReadError:
                self._fill()
                continue
            if not data:
                raise ConnectionError("the proxy closed TLS")
            return data

    def write(self, payload: bytes) -> None:
        """Send one message."""
        self._tls.write(frame(payload) if self.websocket else payload)
        self._flush()

    def read(self, size: int) -> bytes:
        """The next bytes from the target, so many."""
        if not self.websocket:
            while len(self._raw) < size:
                self._raw += self._read()
            data, self._raw = self._raw[:size], self._raw[size:]
            return data
        payload = b""
        while len(payload) < size:
            payload += self._read_frame()
        return payload

    def _read_frame(self) -> bytes:
        raw = self._raw
        while len(raw) < 2:
            raw += self._read()
        size, start = raw[1], 2
        if size >= 126:
            width = 2 if size == 126 else 8
            start += width
            while len(raw) < start:
                raw += self._read()
            size = int.from_bytes(raw[2:start], "big")
        parts, have = [raw], len(raw)
        while have < start + size:
            parts.append(self._read())
            have += len(parts[-1])
        raw = b"".join(parts)
        if raw[0] & 0x0F not in (0, 2):
            raise ConnectionError(f"a frame of type {raw[0] & 0x0F}: {raw[start : start + size]!r}")
        self._raw = raw[start + size :]
        return raw[start : start + size]

    def check(self, size: int = 4 << 20) -> None:
        """Echo random bytes and compare: what is then measured is a proxy that works."""
        self.write(b"E")
        block = 32_000
        for _ in range(0, size, block):
            sent = os.urandom(block)
            self.write(sent)
            if self.read(block) != sent:
                raise AssertionError("the bytes came back changed")

    def upload(self, size: int) -> Iterator[float]:
        """Send so many bytes to the target. Yields when all is encrypted, then the seconds it all took."""
        messages = size // MESSAGE
        self.write(b"U" + LENGTH.pack(messages * MESSAGE))
        message = frame(bytes(MESSAGE)) if self.websocket else bytes(MESSAGE)
        sealed = os.memfd_create("sealed")
        for _ in range(messages):
            self._tls.write(message)
            os.write(sealed, self._out.read())
        yield 0.0
        start, sent, total = time.perf_counter(), 0, os.fstat(sealed).st_size
        while sent < total:
            sent += os.sendfile(self.sock.fileno(), sealed, sent, min(total - sent, 1 << 24))
        if self.read(1) != b"k":
            raise AssertionError("not all has arrived")
        took = time.perf_counter() - start
        os.close(sealed)
        yield took

    def download(self, size: int) -> float:
        """Seconds in which so many bytes come from the target."""
        nowhere, got = bytearray(1 << 20), 0
        self.sock.settimeout(10)
        start = last = time.perf_counter()
        self.write(b"D" + LENGTH.pack(size))
        while True:
            try:
                taken = self.sock.recv_into(nowhere, 0, socket.MSG_TRUNC)
            except TimeoutError:
                break
            if not taken:
                break
            got += taken
            last = time.perf_counter()
            if got >= size:
                self.sock.settimeout(SETTLED)
        if got < size:
            raise AssertionError(f"{got} bytes came of {size}")
        return last - start

    def upload_at(self, size: int, pace: int) -> None:
        """Send so many bytes to the target, so many a second, each message encrypted when it is sent."""
        self.write(b"U" + LENGTH.pack(size))
        for piece in at_pace(size, pace):
            # Masked already: in a client that is no work of Python's.
            self._tls.write(_message(piece) if self.websocket else bytes(piece))
            self._flush()
        if self.read(1) != b"k":
            raise AssertionError("not all has arrived")

    def download_at(self, size: int, pace: int) -> None:
        """Take so many bytes from the target, which sends so many a second, and decrypt them as they come."""
        self.write(b"P" + LENGTH.pack(size) + LENGTH.pack(pace))
        encrypted, plain, got = memoryview(bytearray(1 << 18)), bytearray(1 << 18), 0
        while got < size:
            taken = self.sock.recv_into(encrypted)
            if not taken:
                raise ConnectionError("the proxy left")
            self._in.write(encrypted[:taken])
            with suppress(ssl.SSLWantReadError):
                while True:
                    got += self._tls.read(len(plain), plain)  # type: ignore[operator]

    def echo(self, size: int, count: int) -> list[float]:
        """Seconds of each of so many round trips of a message."""
        self.write(b"E")
        message, trips = bytes(size), []
        for _ in range(count):
            start = time.perf_counter()
            self.write(message)
            self.read(size)
            trips.append(time.perf_counter() - start)
        return trips

    def close(self) -> None:
        self.sock.close()


def check_upgraded(head: bytes) -> None:
    status = head.split(b"\r\n", 1)[0]
    if b" 101 " not in status + b" ":
        raise ConnectionError(f"not upgraded: {status.decode(errors='replace')}")
