"""Accepts connections, and limits what those who have not yet said anything may cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from hatchway.domain.reach import parse_address
from hatchway.gateway.client import Client, start_tls
from hatchway.gateway.flow import reset

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine
    from ssl import SSLContext

REQUEST_DEADLINE: Final = 5.0
"""Seconds from the connection to the end of the request's headers."""

MAX_PENDING: Final = 1000
"""Connections that have not sent their request yet; more are turned away at once."""

BACKLOG: Final = 1024


class Listener:
    """One listening socket of one worker."""

    def __init__(
        self,
        serve: Callable[[Client, str], Coroutine[None, None, None]],
        tls: Callable[[], SSLContext],
        *,
        max_pending: int = MAX_PENDING,
        request_deadline: float = REQUEST_DEADLINE,
    ) -> None:
        """`serve` is run for each client, with its IP address; `tls` gives the context for the next one."""
        self._serve = serve
        self._tls = tls
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
        loop = asyncio.get_running_loop()
        client = start_tls(tcp, self._tls(), loop)
        self._pending += 1
        deadline = loop.call_later(self._request_deadline, client.abort)

        def request_came(_request: object) -> None:
            self._pending -= 1
            deadline.cancel()

        client.request.add_done_callback(request_came)
        serving = loop.create_task(self._serve(client, str(parse_address(peer[0].partition("%")[0]))))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)


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
