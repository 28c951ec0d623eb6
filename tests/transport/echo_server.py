"""A WebSocket server of transport alone: whatever comes in a data frame goes back in one."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from picows import WSMsgType
from tests.transport.harness import LOOPBACK, connection_tls

from hatchway.transport.connection.tcp import Hold
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.websocket.close import Closure
from hatchway.transport.websocket.frames import binary_header
from hatchway.transport.websocket.handshake import BadHandshake, render_answer, render_upgrade, websocket_key
from hatchway.transport.websocket.server import WebSocketServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from picows import WSFrame

    from hatchway.transport.core._core import Context
    from hatchway.transport.websocket.connection import WebSocketConnection


class Echo:
    """One client's WebSocket: what comes goes back, no faster than the client takes it."""

    def __init__(self, client: WebSocketConnection) -> None:
        self._client = client
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.PING:
            self._client.answer(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            self._client.close_for(Closure(int.from_bytes(frame.get_payload_as_bytes()[:2]) or 1000))
        elif frame.msg_type in (WSMsgType.BINARY, WSMsgType.CONTINUATION):
            payload = frame.get_payload_as_bytes()
            self._client.write_frames(binary_header(len(payload)), payload)

    def on_frames_end(self) -> None: ...

    def client_full(self) -> None:
        self._client.hold(Hold.BACKLOG)

    def client_ready(self) -> None:
        self._client.release(Hold.BACKLOG)

    def client_at_fault(self, closure: Closure) -> None:
        self._client.close_for(closure)

    def close_unanswered(self) -> None:
        self._client.hang_up()

    def client_lost(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


@dataclass
class Running:
    """`addresses` are those of the clients that got a WebSocket, in order; `clients` are served now."""

    port: int
    listener: Listener
    clients: WebSocketServer
    addresses: list[str]


@asynccontextmanager
async def echo_server(
    *,
    sock: socket.socket | None = None,
    sources: Sources | None = None,
    tls: Callable[[], ssl.SSLContext | Context] = connection_tls,
    connected: Callable[[WebSocketConnection], object] = lambda _: None,
    **limits: Any,
) -> AsyncIterator[Running]:
    """Runs on loopback. `connected` gets each connection before its request; `limits` are the listener's."""
    known = Sources(asyncio.get_running_loop().time) if sources is None else sources
    addresses: list[str] = []

    async def serve(client: WebSocketConnection, address: str, _port: int) -> None:
        connected(client)
        try:
            answer = render_upgrade(websocket_key(client.take_head()))
        except BadHandshake as bad:
            client.hang_up(render_answer(bad.status, str(bad).encode()))
            return
        addresses.append(address)
        known.admitted(address, "")
        echo = Echo(client)
        client.upgrade(answer, echo, note="request id 7")
        client.release(Hold.CONNECTING)
        await echo.gone

    clients = WebSocketServer(serve, tls)
    listener = Listener(clients.begin, known, **limits)
    listening = socket.create_server((LOOPBACK, 0)) if sock is None else sock
    port = listening.getsockname()[1]
    await listener.start(listening)
    try:
        yield Running(port, listener, clients, addresses)
    finally:
        listener.stop()
