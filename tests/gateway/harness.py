"""A gateway on loopback whose decisions are given, and the two ends that talk through it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from tests.forks import FORKS
from tests.transport.harness import LOOPBACK, TIMEOUT, connection_tls, new_event_loop, until

from hatchway.access.open_tunnel import TunnelRequest
from hatchway.access.principal import Principal, PrincipalType
from hatchway.audit.events import EventSource
from hatchway.domain.addresses import parse_address
from hatchway.gateway.admission.decision import Admitted, Call, Refused
from hatchway.gateway.lifecycle import TunnelHandler, WorkerHooks
from hatchway.gateway.telemetry.metrics import Metrics
from hatchway.gateway.tunnel.registry import Registry
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.websocket.server import WebSocketServer

if TYPE_CHECKING:
    import ssl
    from multiprocessing.connection import Connection

    from hatchway.domain.endpoint import ProxyProtocol
    from hatchway.gateway.trail.trail import TunnelSummary
    from hatchway.transport.core._core import Context
    from hatchway.transport.websocket.handshake import Head


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
    news: Callable[[], object] = lambda: None
    """Called when a request waits for news."""
    explaining: bool = False
    """Whether callers may know why they get no tunnel."""
    heads: list[Head] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    async def caught_up(self, _within: float) -> None:
        await asyncio.sleep(0.05)
        self.news()

    def explains(self, admitted: Admitted, now: datetime) -> bool:
        return self.explaining

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
    tunnels: dict[str, TunnelSummary | None] = field(default_factory=dict)

    async def opened(self, admitted: Admitted, now: datetime) -> None:
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        self.tunnels[admitted.tunnel_id] = None

    async def refused(self, refused: Refused, now: datetime) -> None:
        self.refusals.append(refused)

    async def closed(self, admitted: Admitted, carried: TunnelSummary, now: datetime) -> None:
        self.tunnels[admitted.tunnel_id] = carried

    async def end(self) -> TunnelSummary:
        """What came of the only tunnel, once it is gone."""
        await until(lambda: self.tunnels and None not in self.tunnels.values())
        (carried,) = self.tunnels.values()
        assert carried is not None
        return carried


@dataclass
class Running:
    port: int
    listener: Listener
    handler: TunnelHandler
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
    tls: Callable[[], ssl.SSLContext | Context] = connection_tls,
    sources: Sources | None = None,
    **limits: Any,
) -> AsyncIterator[Running]:
    trail = trail or Remembers()
    registry = Registry()
    metrics = Metrics()
    ids = itertools.count()
    sources = Sources(asyncio.get_running_loop().time) if sources is None else sources
    handler = TunnelHandler(
        admission=says,
        trail=trail,
        registry=registry,
        metrics=metrics,
        sources=sources,
        hooks=WorkerHooks(
            may_open=lambda: True,
            clock=lambda: datetime.now(UTC),
            new_request_id=lambda: f"id-{next(ids)}",
            new_tunnel_id=lambda: f"tun-{next(ids)}",
            caught_up=says.caught_up,
        ),
    )
    listener = Listener(WebSocketServer(handler.serve, tls).begin, sources, **limits)
    sock = sock or socket.create_server((LOOPBACK, 0))
    port = sock.getsockname()[1]
    await listener.start(sock)
    try:
        yield Running(port, listener, handler, registry, metrics, says, trail)
    finally:
        listener.stop()


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


def _gateway_process(target_port: int, port: Connection) -> None:
    async def serve() -> None:
        async with running_gateway(Says(target_port)) as gateway:
            port.send(gateway.port)
            await asyncio.Event().wait()

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve())


@contextmanager
def gateway_process(target_port: int) -> Iterator[tuple[int, int]]:
    """A gateway in a process of its own; gives its port and process id."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=_gateway_process, args=(target_port, theirs), daemon=True)
    process.start()
    try:
        assert ours.poll(TIMEOUT)
        assert process.pid is not None
        yield ours.recv(), process.pid
    finally:
        process.kill()
        process.join()


def resident_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
