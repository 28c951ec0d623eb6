"""A client of WebSockets that does what a test says, and what else tests of connections need."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop

from hatchway.pki.certificate_authority import create_ca, issue_server_certificate
from hatchway.transport.core import event_loop
from hatchway.transport.core.core_tls import CoreTls
from hatchway.transport.core.loading import CORE
from hatchway.transport.server_tls import AES_128_FIRST, server_context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from hatchway.transport.core._core import Context

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
LOOPBACK = "127.0.0.1"
TIMEOUT = 60.0

Answer = TypeVar("Answer")


def run(test: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run a test on the event loop that gateways use."""

    async def bounded() -> Answer:
        async with asyncio.timeout(2 * TIMEOUT):
            return await test()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(bounded())


USES_CORE = CORE is not None and os.environ.get("HATCHWAY_COMPILED_CORE") == "on"
"""Whether connections here are the compiled core's: `make test-core` has all tests of connections run so."""


def new_event_loop() -> asyncio.AbstractEventLoop:
    """As a gateway has it."""
    return event_loop.new_event_loop() if USES_CORE else uvloop.new_event_loop()


@cache
def certificate() -> bytes:
    """A certificate and its key, in one PEM file."""
    now = datetime.now(UTC)
    pair = issue_server_certificate(create_ca("test", ["localhost"], now), ["localhost"], now)
    return pair.certificate + pair.key


@cache
def server_tls() -> ssl.SSLContext:
    with TemporaryDirectory() as directory:
        path = Path(directory, "server.pem")
        path.write_bytes(certificate())
        return server_context(path, path, AES_128_FIRST)


@cache
def connection_tls() -> ssl.SSLContext | Context:
    """What a gateway makes its clients' connections by."""
    if not USES_CORE:
        return server_tls()
    with TemporaryDirectory() as directory:
        path = Path(directory, "server.pem")
        path.write_bytes(certificate())
        return CoreTls(path, path, AES_128_FIRST).session_context


@cache
def client_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Clock:
    """Seconds that go on when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def silent_port(host: str = LOOPBACK) -> Iterator[int]:
    """A port that answers nobody: its queue of connections is full, so what comes is dropped."""
    with ExitStack() as sockets:
        listening = sockets.enter_context(socket.socket())
        listening.bind((host, 0))
        listening.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


def mask(payload: bytes, key: bytes) -> bytes:
    if key == bytes(4):
        return payload
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(pad)).to_bytes(len(payload))


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, key: bytes | None = bytes(4)
) -> bytes:
    """A frame as a client sends it; unmasked when `key` is None."""
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    masked = 0 if key is None else 0x80
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first, masked | size)
    elif size < 65536:
        head = struct.pack(">BBH", first, masked | 126, size)
    else:
        head = struct.pack(">BBQ", first, masked | 127, size)
    return head + (payload if key is None else key + mask(payload, key))


def request(path: str = "/openTunnel", *, without: str = "", **headers: str) -> bytes:
    all_headers = {
        "Host": "gateway.example",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    all_headers.pop(without, None)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class Closed(Exception):
    """`reason` is without the request's id that stood behind it; empty where none did."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason, _, named = reason.partition(" (request id ")
        self.request_id = named.removesuffix(")")


class WebSocket:
    """A client that does what a test says, well or ill."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answer = b""

    @classmethod
    async def connect(cls, port: int, receive_buffer: int = 0) -> WebSocket:
        """With `receive_buffer` bytes, the kernel keeps about so much unread; with 0 as much as it likes."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK, port))
        except BaseException:
            sock.close()
            raise
        return cls(
            *await asyncio.open_connection(
                sock=sock, ssl=client_tls(), server_hostname="", ssl_handshake_timeout=TIMEOUT, limit=1 << 20
            )
        )

    @classmethod
    async def open(cls, port: int, path: str = "/openTunnel", receive_buffer: int = 0) -> WebSocket:
        """Connect and upgrade."""
        client = await cls.connect(port, receive_buffer)
        client.writer.write(request(path))
        client.answer = await client.reader.readuntil(b"\r\n\r\n")
        assert client.answer.startswith(b"HTTP/1.1 101 "), client.answer
        return client

    async def send(self, payload: bytes, opcode: int = BINARY, **options: Any) -> None:
        self.writer.write(frame(opcode, payload, **options))
        await self.writer.drain()

    async def close(self, code: int = 1000) -> None:
        await self.send(struct.pack(">H", code), CLOSE)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload, which the server never masks nor fragments."""
        first, second = await self.reader.readexactly(2)
        assert first & 0xF0 == 0x80, hex(first)
        size = second
        if size == 126:
            (size,) = struct.unpack(">H", await self.reader.readexactly(2))
        assert second < 127
        return first & 0xF, await self.reader.readexactly(size)

    async def payloads(self) -> AsyncIterator[bytes]:
        """Payloads until the close frame, which is answered and raised as `Closed`."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                with suppress(ConnectionError):
                    await self.send(payload, CLOSE)
                raise Closed(struct.unpack(">H", payload[:2])[0], payload[2:].decode())
            if opcode == BINARY:
                yield payload

    async def receive(self, size: int) -> bytes:
        received = bytearray()
        if size:
            async for payload in self.payloads():
                received += payload
                if len(received) >= size:
                    break
        assert len(received) == size
        return bytes(received)

    async def rest(self) -> tuple[bytes, Closed]:
        """Everything up to the close frame, and that."""
        received = bytearray()
        try:
            async for payload in self.payloads():
                received += payload
        except Closed as closed:
            return bytes(received), closed
        raise AssertionError("the stream cannot end without a close frame")

    async def hung_up(self) -> None:
        """Wait until the server has closed the connection."""
        with suppress(ConnectionError, ssl.SSLError):
            while await self.reader.read(65536):
                pass

    def vanish(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.005)
