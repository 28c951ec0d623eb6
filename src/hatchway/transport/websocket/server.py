"""A WebSocket server: each accepted connection, and a task that serves it."""

from __future__ import annotations

import asyncio
from ssl import SSLContext
from typing import TYPE_CHECKING

from hatchway.transport.connection.readiness import Readiness
from hatchway.transport.websocket.connection import WebSocketConnection
from hatchway.transport.websocket.core_connection import CoreConnection
from hatchway.transport.websocket.frames import Parsers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hatchway.transport.core._core import Context
    from hatchway.transport.listening.listener import AcceptedConnection


class WebSocketServer:
    """The clients of one worker. To be made on its event loop."""

    def __init__(
        self,
        serve: Callable[[WebSocketConnection, str, int], Coroutine[None, None, None]],
        tls: Callable[[], SSLContext | Context],
    ) -> None:
        """`serve` is run for each client, with its IP address and port.

        `tls` gives the context for the next one.
        """
        self._serve = serve
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._readiness = Readiness(self._loop)
        self._parsers = Parsers()
        self._clients: dict[asyncio.Task[None], WebSocketConnection] = {}

    def __len__(self) -> int:
        """How many are served, from the connection to the end of the answer or of the tunnel."""
        return len(self._clients)

    def begin(self, accepted: AcceptedConnection, settled: Callable[[], None]) -> None:
        """Serve a connection; `settled` is called when its request has come, or will not come."""
        context = self._tls()
        client = (
            WebSocketConnection(self._readiness, accepted.sock, context, self._parsers)
            if isinstance(context, SSLContext)
            else CoreConnection(self._readiness, accepted.sock, context, self._parsers)
        )
        deadline = self._loop.call_later(accepted.seconds, client.abort)

        def requested(_request: object) -> None:
            settled()
            deadline.cancel()

        client.request.add_done_callback(requested)
        serving = self._loop.create_task(self._serve(client, str(accepted.peer.address), accepted.peer.port))
        self._clients[serving] = client
        serving.add_done_callback(self._served)
        client.begin()
        client.take(accepted.received)

    def _served(self, task: asyncio.Task[None]) -> None:
        client = self._clients.pop(task)
        if not task.cancelled() and task.exception() is not None:
            # Whatever it was: nobody looks after this client any more.
            client.abort()
            problem = {"message": "a client could not be served", "exception": task.exception()}
            self._loop.call_exception_handler(problem)
