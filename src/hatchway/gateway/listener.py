"""Accepts connections, and limits what those who have not yet said anything may cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

import structlog

from hatchway.domain.reach import parse_address, within
from hatchway.gateway.client import Client, start_tls
from hatchway.gateway.flow import reset
from hatchway.gateway.proxy_protocol import BadProxyHeader, TransportAddress, read_proxy_header

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from ssl import SSLContext

REQUEST_DEADLINE: Final = 5.0
"""Seconds from the connection to the end of the request's headers."""

MAX_PENDING: Final = 1000
"""Connections that have not sent their request yet; more are turned away at once."""

BACKLOG: Final = 1024

log = structlog.get_logger("hatchway.gateway")


class Listener:
    """One listening socket of one worker."""

    def __init__(
        self,
        serve: Callable[[Client, str, int], Coroutine[None, None, None]],
        tls: Callable[[], SSLContext],
        *,
        proxies: tuple[str, ...] = (),
        max_pending: int = MAX_PENDING,
        request_deadline: float = REQUEST_DEADLINE,
    ) -> None:
        """`serve` is run for each client, with its IP address and port.

        `tls` gives the context for the next one.

        `proxies` are the CIDR ranges of the load balancers. A connection from one of them begins with a PROXY
        protocol header, which says whose it is; nobody else's word is taken for that.
        """
        self._serve = serve
        self._tls = tls
        self._proxies = proxies
        self._max_pending = max_pending
        self._request_deadline = request_deadline
        self._pending = 0
        self._serving = set[asyncio.Task[None]]()
        self._server: asyncio.Server | None = None

    @property
    def pending(self) -> int:
        """Connections that have not sent their request yet."""
        return self._pending

    async def start(self, sock: socket.socket) -> None:
        """Begin to accept. The socket is bound, and closed with the listener."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Accepted(self), sock=sock, backlog=BACKLOG)

    def stop(self) -> None:
        """Accept no more. Clients that are there stay."""
        if self._server is not None:
            self._server.close()

    def accepted(self, tcp: asyncio.Transport) -> None:
        peer = tcp.get_extra_info("peername")
        if self._pending >= self._max_pending or not peer:
            reset(tcp)
            return
        self._pending += 1
        deadline = asyncio.get_running_loop().call_later(self._request_deadline, reset, tcp)

        def settled() -> None:
            self._pending -= 1
            deadline.cancel()

        source = TransportAddress(parse_address(peer[0].partition("%")[0]), peer[1])
        if within(source.address, self._proxies):
            tcp.set_protocol(_BehindProxy(self, tcp, source, settled))
        else:
            self.begin(tcp, source, settled)

    def begin(
        self,
        tcp: asyncio.Transport,
        source: TransportAddress,
        settled: Callable[[], None],
        received: bytes = b"",
    ) -> None:
        """Serve a client that speaks TLS from here on.

        `settled` is called once its request has come, or never will.
        """
        loop = asyncio.get_running_loop()
        client = start_tls(tcp, self._tls(), loop, received)
        client.request.add_done_callback(lambda _request: settled())
        serving = loop.create_task(self._serve(client, str(source.address), source.port))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)


class _BehindProxy(asyncio.Protocol):
    """The protocol of a load balancer's connection until it has said whose it is."""

    __slots__ = ("_listener", "_peer", "_received", "_settled", "_tcp")

    def __init__(
        self,
        listener: Listener,
        tcp: asyncio.Transport,
        peer: TransportAddress,
        settled: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._tcp = tcp
        self._peer = peer
        self._settled = settled
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            header = read_proxy_header(self._received)
        except BadProxyHeader as bad:
            log.warning("load balancer refused", peer=str(self._peer.address), problem=str(bad))
            reset(self._tcp)
            return
        if header is not None:
            rest = self._received[header.size :]
            self._listener.begin(self._tcp, header.source or self._peer, self._settled, rest)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settled()


class _Accepted(asyncio.BaseProtocol):
    """The protocol of a connection for the moment until TLS takes over."""

    __slots__ = ("_listener",)

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._listener.accepted(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Turned away."""
