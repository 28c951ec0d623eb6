"""A WebSocket server: each accepted connection, and the task that serves it."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from ssl import SSLContext
from typing import TYPE_CHECKING, TypeVarTuple

from hatchway.transport.connection.readiness import Readiness
from hatchway.transport.websocket.connection import WebSocketConnection
from hatchway.transport.websocket.core_connection import CoreConnection
from hatchway.transport.websocket.frames import Parsers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextvars import Context as Variables

    from hatchway.transport.core._core import Context
    from hatchway.transport.listening.listener import AcceptedConnection

_Given = TypeVarTuple("_Given")


class Continuation:
    """What is left to do for a client once a future is done: then `do` is called with `given`, and run.

    Until then nothing waits: a task and its coroutines would take a kilobyte for each idle client. Whoever
    serves the client makes it; `do` gets the same context variables.
    """

    __slots__ = ("after", "do", "given", "variables")

    def __init__(
        self,
        after: asyncio.Future[None],
        do: Callable[[*_Given], Coroutine[None, None, None]],
        *given: *_Given,
    ) -> None:
        self.after = after
        self.do: Callable[..., Coroutine[None, None, None]] = do
        self.given: tuple[object, ...] = given
        self.variables: Variables = copy_context()


class WebSocketServer:
    """The clients of one worker. It must be made on its event loop."""

    def __init__(
        self,
        serve: Callable[[WebSocketConnection, str, int], Coroutine[None, None, Continuation | None]],
        tls: Callable[[], SSLContext | Context],
    ) -> None:
        """
        Args:
            serve: run for each client whose request has come, with its IP address and port; then the
                continuation that it returns, if any.
            tls: returns the context for the next client.
        """
        self._serve = serve
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._readiness = Readiness(self._loop)
        self._parsers = Parsers()
        # A client's request may be read in a call that another client's task has scheduled.
        self._variables = copy_context()
        self._tasks: dict[asyncio.Task[Continuation | None], WebSocketConnection] = {}
        self._without_task = 0

    def __len__(self) -> int:
        """How many clients are served, from the connection to the end of the answer or of the tunnel."""
        return len(self._tasks) + self._without_task

    def begin(self, accepted: AcceptedConnection, settled: Callable[[], None]) -> None:
        """Serve a connection; `settled` is called once, when its request has come or will not come.

        Raises:
            Exception: the connection was not taken over, and `settled` will not be called.
        """
        context = self._tls()
        client = (
            WebSocketConnection(self._readiness, accepted.sock, context, self._parsers)
            if isinstance(context, SSLContext)
            else CoreConnection(self._readiness, accepted.sock, context, self._parsers)
        )
        deadline = self._loop.call_later(accepted.seconds, client.abort)
        self._without_task += 1

        def requested() -> None:
            self._without_task -= 1
            settled()
            deadline.cancel()
            if not client.is_gone:
                address, port = accepted.peer
                self._run(self._serve(client, str(address), port), client, self._variables.copy())

        client.on_request = requested
        try:
            client.begin()
            client.take(accepted.received)
        except Exception as problem:
            # The client has been taken over by now: its listener must not count it a second time.
            client.abort()
            self._loop.call_exception_handler(
                {"message": "a client could not be begun with", "exception": problem}
            )

    def _run(
        self,
        serving: Coroutine[None, None, Continuation | None],
        client: WebSocketConnection,
        variables: Variables | None = None,
    ) -> None:
        task = self._loop.create_task(serving, context=variables)
        self._tasks[task] = client
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[Continuation | None]) -> None:
        client = self._tasks.pop(task)
        if task.cancelled():
            return
        if task.exception() is not None:
            # Whatever it was: nobody takes care of this client any more.
            client.abort()
            problem = {"message": "a client could not be served", "exception": task.exception()}
            self._loop.call_exception_handler(problem)
        elif (continuation := task.result()) is not None:
            self._without_task += 1
            continuation.after.add_done_callback(
                _Continue(self, client, continuation.do, continuation.given), context=continuation.variables
            )

    def go_on(self, client: WebSocketConnection, left: Coroutine[None, None, None]) -> None:
        """Run what was left to do for a client."""
        self._without_task -= 1
        self._run(left, client)


class _Continue:
    """Calls `do` once a future is done. Each idle client has one; a partial of a method is larger."""

    __slots__ = ("client", "do", "given", "server")

    def __init__(
        self,
        server: WebSocketServer,
        client: WebSocketConnection,
        do: Callable[..., Coroutine[None, None, None]],
        given: tuple[object, ...],
    ) -> None:
        self.server = server
        self.client = client
        self.do = do
        self.given = given

    def __call__(self, _after: asyncio.Future[None]) -> None:
        self.server.go_on(self.client, self.do(*self.given))
