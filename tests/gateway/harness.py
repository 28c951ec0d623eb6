"""A gateway on loopback whose decisions are given, and the two ends that talk through it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import multiprocessing
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
import uvloop

from hatchway.access.open_tunnel import TunnelRequest
from hatchway.access.principal import Principal, PrincipalType
from hatchway.audit.events import EventSource
from hatchway.domain.reach import parse_address
from hatchway.gateway.admission.admission import Admitted, Call, Refused
from hatchway.gateway.lifecycle import Gateway
from hatchway.gateway.telemetry.metrics import Metrics
from hatchway.gateway.tunnel.registry import Registry
from hatchway.gateway.worker.clients import Clients
from hatchway.pki import create_ca, issue_server_certificate
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.server_tls import server_context

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hatchway.domain.endpoint import ProxyProtocol
    from hatchway.gateway.trail.trail import Carried
    from hatchway.transport.websocket.handshake import Head

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA
LOOPBACK = "127.0.0.1"
PATIENCE = 60.0

Answer = TypeVar("Answer")


def run(test: Callable[[], Awaitable[Answer]]) -> Answer:
    """Run a test on the event loop that gateways use."""

    async def bounded() -> Answer:
        async with asyncio.timeout(2 * PATIENCE):
            return await test()

    return uvloop.run(bounded())


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
        return server_context(path, path)


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


@dataclass
class Says:
    """An admission that says what it is told to: yes, to a target on loopback, unless `refused` is set."""

    port: int
    duration: int = 3600
    host: str = LOOPBACK
    unreachable: str | None = None
    preserve_client_ip: bool = False
    proxy_protocol: ProxyProtocol | None = None
    refused: Refused | None = None
    heads: list[Head] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def decide(
        self, head: Head, *, source_ip: str, request_id: str, tunnel_id: str, now: datetime
    ) -> Admitted | Refused:
        self.heads.append(head)
        self.sources.append(source_ip)
        if self.refused is not None:
            return self.refused
        request = TunnelRequest("eice-1", self.host, self.port, self.duration)
        principal = Principal(
            arn="arn:aws:iam::123456789012:user/alice",
            account="123456789012",
            type=PrincipalType.USER,
            user_id="AIDA",
            user_name="alice",
            access_key_id="AKIA",
        )
        return Admitted(
            tunnel_id=tunnel_id,
            call=Call(source=event_source(request_id, source_ip), request=request, resources=()),
            request=request,
            address=parse_address(self.host),
            principal=principal,
            instance_id=None,
            quota=20,
            unreachable=self.unreachable,
            additional={},
            source=parse_address(source_ip) if self.preserve_client_ip else None,
            proxy_protocol=self.proxy_protocol,
        )


def event_source(request_id: str = "r", source_ip: str = LOOPBACK) -> EventSource:
    return EventSource(
        account="123456789012",
        region="us-east-1",
        event_source="ec2-instance-connect.amazonaws.com",
        request_id=request_id,
        source_ip=source_ip,
        user_agent="",
        user_identity={},
    )


@dataclass
class Remembers:
    """A trail in memory. It fails with `failure`, after `delay` seconds, when that is set."""

    failure: Exception | None = None
    delay: float = 0.0
    refusals: list[Refused] = field(default_factory=list)
    tunnels: dict[str, Carried | None] = field(default_factory=dict)

    async def opened(self, admitted: Admitted, now: datetime) -> None:
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        self.tunnels[admitted.tunnel_id] = None

    async def refused(self, refused: Refused, now: datetime) -> None:
        self.refusals.append(refused)

    async def closed(self, admitted: Admitted, carried: Carried, now: datetime) -> None:
        self.tunnels[admitted.tunnel_id] = carried

    async def end(self) -> Carried:
        """What came of the only tunnel, once it is gone."""
        await until(lambda: self.tunnels and None not in self.tunnels.values())
        (carried,) = self.tunnels.values()
        assert carried is not None
        return carried


@dataclass
class Running:
    port: int
    listener: Listener
    gateway: Gateway
    registry: Registry
    metrics: Metrics
    says: Says
    trail: Remembers


@asynccontextmanager
async def running_gateway(
    says: Says,
    *,
    trail: Remembers | None = None,
    sock: socket.socket | None = None,
    tls: Callable[[], ssl.SSLContext] = server_tls,
    sources: Sources | None = None,
    **limits: Any,
) -> AsyncIterator[Running]:
    trail = trail or Remembers()
    registry = Registry()
    metrics = Metrics()
    ids = itertools.count()
    sources = Sources(asyncio.get_running_loop().time) if sources is None else sources
    gateway = Gateway(
        admission=says,
        trail=trail,
        registry=registry,
        metrics=metrics,
        sources=sources,
        may_open=lambda: True,
        clock=lambda: datetime.now(UTC),
        new_request_id=lambda: f"id-{next(ids)}",
        new_tunnel_id=lambda: f"tun-{next(ids)}",
    )
    listener = Listener(Clients(gateway.serve, tls).begin, sources, **limits)
    sock = sock or socket.create_server((LOOPBACK, 0))
    port = sock.getsockname()[1]
    await listener.start(sock)
    try:
        yield Running(port, listener, gateway, registry, metrics, says, trail)
    finally:
        listener.stop()


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


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def target(handler: Handler) -> AsyncIterator[int]:
    """A host on loopback; gives its port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)

    server = await asyncio.start_server(handle, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


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
    async def connect(cls, port: int) -> WebSocket:
        return cls(
            *await asyncio.open_connection(
                LOOPBACK, port, ssl=client_tls(), ssl_handshake_timeout=10, limit=1 << 20
            )
        )

    @classmethod
    async def open(cls, port: int, path: str = "/openTunnel") -> WebSocket:
        """Connect and upgrade."""
        client = await cls.connect(port)
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
        """The next frame's opcode and payload, which the gateway never masks nor fragments."""
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
        """Wait until the gateway has closed the connection."""
        with suppress(ConnectionError, ssl.SSLError):
            while await self.reader.read(65536):
                pass

    def vanish(self) -> None:
        self.writer.transport.abort()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.005)


def _gateway_process(target_port: int, port: Connection) -> None:
    async def serve() -> None:
        async with running_gateway(Says(target_port)) as gateway:
            port.send(gateway.port)
            await asyncio.Event().wait()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    uvloop.run(serve())


@contextmanager
def gateway_process(target_port: int) -> Iterator[tuple[int, int]]:
    """A gateway in a process of its own; gives its port and process id."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_gateway_process, args=(target_port, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(PATIENCE)
        assert process.pid is not None
        yield ours.recv(), process.pid
    finally:
        process.kill()
        process.join()


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
