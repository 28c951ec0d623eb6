"""The HTTPS server: uvicorn, held to limits (uvicorn: "Settings").

uvicorn counts no connection before its TLS handshake is done, and none by where it comes from. So the server
accepts by `hatchway.transport`, as the gateway does, and gives uvicorn what has a turn.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Final

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import HANDLED_SIGNALS

from hatchway.control.http.keep_alive import KeptAliveConnections
from hatchway.control.http.protocol import ClientConnection
from hatchway.privileges import as_owner_of
from hatchway.supervision.supervised import Supervised
from hatchway.transport.asyncio_tls import Records, TlsProtocol
from hatchway.transport.listening.listener import MAX_PENDING, AcceptedConnection, Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.server_tls import AES_256_FIRST, ServerTls

HANDSHAKE_SECONDS: Final = 10.0
"""How long a client may take over its TLS handshake."""
UNTAKEN_SECONDS: Final = 20.0
"""After which the kernel gives up a connection whose client takes nothing of what it was sent: one that the
server has closed too, which the kernel keeps for minutes of its own accord, with megabytes (tcp(7))."""
SHUTDOWN_SECONDS: Final = 10.0
"""How long a client may take over reading the last answer, and over closing."""
KEEP_ALIVE_SECONDS: Final = 30
_LOOK_SECONDS: Final = 0.2

log = structlog.get_logger("hatchway.control")


class HttpsServer(uvicorn.Server):
    """Serves one application; calls `on_ready` when it listens.

    Attributes:
        held: the connections on which somebody has proved who he is.
    """

    def __init__(
        self,
        application: ASGIApp,
        *,
        certificate: Path,
        key: Path,
        drain_seconds: float,
        on_ready: Callable[[], None],
        sources: Sources | None = None,
        most: int = MAX_PENDING,
        proxies: tuple[str, ...] = (),
        supervised: Supervised | None = None,
        on_replaced: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            most: how many connections there may be on which nobody has proved anything yet, and how many on
                which somebody has.
            proxies: CIDR ranges of load balancers, from which each connection begins with a header of the
                PROXY protocol; from nowhere else is one taken.
            supervised: what the process has of its supervisor.
            on_replaced: called in a thread when another process accepts connections from now on.

        Raises:
            OSError: the certificate cannot be read.
        """
        super().__init__(
            uvicorn.Config(
                application,
                http=ClientConnection,
                ws="none",
                interface="asgi3",
                # Policies depend on the client's address: what a header says of it is not believed.
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
            )
        )
        self._on_ready = on_ready
        # Its answers are small: what encrypting takes does not count.
        with as_owner_of(key.absolute().parent):
            self._tls = ServerTls(certificate, key, AES_256_FIRST)
        self._sources = Sources(time.monotonic) if sources is None else sources
        self._most = most
        self._proxies = proxies
        self._supervised = supervised
        self._on_replaced = on_replaced
        self._tasks = set[asyncio.Task[None]]()
        self._listeners: list[Listener] = []
        self._replaced = False
        self._close_now = asyncio.Event()
        self.held = KeptAliveConnections(most)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([])
        for sock in sockets or []:
            listener = Listener(self._begin, self._sources, proxies=self._proxies, max_pending=self._most)
            await listener.start(sock)
            # Accepted sockets inherit it from the listening socket.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNTAKEN_SECONDS * 1000))
            self._listeners.append(listener)
            self.servers.append(_Listening(listener))  # type: ignore[arg-type]
        if self._supervised is not None:
            self._supervised.watch(
                asyncio.get_running_loop(), replaced=self._be_replaced, orphaned=self._stop
            )
        self._keep(self._tls.follow())
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._replaced:
            await self._serve_out()
        await super().shutdown(sockets)
        for task in self._tasks:
            task.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._close_now.set()
        super().handle_exit(sig, frame)

    def _stop(self) -> None:
        self._close_now.set()
        self.should_exit = True

    def _be_replaced(self) -> None:
        """Another process accepts connections from now on."""
        self._replaced = self.should_exit = True

    async def _serve_out(self) -> None:
        """Serve the clients that are connected: each answer says that the connection ends with it.

        Closing a connection while its client sends the next call would lose that call. So idle ones are left
        until they end by themselves.
        """
        log.info("control plane succeeded by another", connections=len(self.server_state.connections))
        for listener in self._listeners:
            listener.retire()
        await asyncio.to_thread(self._on_replaced)
        told = asyncio.ensure_future(self._close_now.wait())
        while not told.done() and (
            self.server_state.connections or any(each.pending for each in self._listeners)
        ):
            await asyncio.wait([told], timeout=_LOOK_SECONDS)
        told.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on SIGTERM and SIGINT, and returns, where uvicorn would let the signal kill the process.

        On SIGHUP the certificate is read again.
        """
        if current_thread() is not main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        # Not at once: a handler may interrupt anything, itself too.
        soon = partial(asyncio.get_running_loop().call_soon_threadsafe, self._tls.read_again)
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: soon())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _begin(self, arrival: AcceptedConnection, settled: Callable[[], None]) -> None:
        records = Records()
        connection = ClientConnection(
            address=str(arrival.peer.address),
            answered=records.begin,
            sources=self._sources,
            held=self.held,
            settled=settled,
            leaving=lambda: self._replaced,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self._keep(self._handshake(arrival, connection, records))

    async def _handshake(
        self, arrival: AcceptedConnection, connection: ClientConnection, records: Records
    ) -> None:
        loop = asyncio.get_running_loop()
        established: asyncio.Future[None] = loop.create_future()
        tls = TlsProtocol(
            loop,
            connection,
            self._tls.context,
            established,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
            records=records,
            received=arrival.received,
        )
        try:
            await loop.connect_accepted_socket(lambda: tls, arrival.sock)
            await established
        except OSError:
            # Not with us: by its doing, or because it took too long.
            connection.never_made()
        else:
            # One that was reset meanwhile ends the waiting too.
            if not connection.is_made:
                connection.never_made()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Listening:
    """A listener as uvicorn stops one."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    async def start(self, sock: socket.socket) -> None:
        await self._listener.start(sock)

    def close(self) -> None:
        self._listener.stop()

    async def wait_closed(self) -> None:
        """Its connections are uvicorn's."""
