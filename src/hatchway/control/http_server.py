"""The HTTPS server: uvicorn, held to limits (uvicorn: "Settings")."""

import signal
import ssl
from asyncio import TimerHandle, Transport
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket
from threading import current_thread, main_thread
from typing import Any, Final

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import HANDLED_SIGNALS

HEADER_SECONDS: Final = 15.0
"""How long a client may take over the head of a request, and a new one over TLS besides."""
LARGEST_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers."""
KEEP_ALIVE_SECONDS: Final = 30
MOST_CONNECTIONS: Final = 1000
"""Above this, requests are answered with 503."""

log = structlog.get_logger("hatchway.control")


class PunctualProtocol(H11Protocol):
    """HTTP/1.1 that ends a connection when the head of its request does not arrive in time.

    uvicorn itself limits only how long a connection may be silent between two requests.
    """

    _deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._disarm()
        elif self._deadline is None and self.conn.trailing_data[0]:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        self.transport.abort()


class HttpsServer(uvicorn.Server):
    """Serves one application; calls `on_ready` when it listens."""

    def __init__(
        self,
        application: ASGIApp,
        *,
        certificate: Path,
        key: Path,
        drain_seconds: float,
        on_ready: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http=PunctualProtocol,
                ws="none",
                interface="asgi3",
                # Who the client is decides policies: what a header says about it is not believed.
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=max(1, round(drain_seconds)),
                h11_max_incomplete_event_size=LARGEST_HEAD,
                ssl_certfile=certificate,
                ssl_keyfile=key,
                ssl_context_factory=_modern_tls,
            )
        )
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on SIGTERM and SIGINT, and returns, where uvicorn would let the signal kill the process.

        On SIGHUP the certificate is read again.
        """
        if current_thread() is not main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._read_certificate())
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _read_certificate(self) -> None:
        """Takes the certificate as it is now for the connections to come."""
        context, certificate = self.config.ssl, self.config.ssl_certfile
        if context is None or certificate is None:
            return
        try:
            context.load_cert_chain(certificate, self.config.ssl_keyfile)
        except OSError as problem:
            log.error("certificate not read again", problem=str(problem))
        else:
            log.info("certificate read again")


def _modern_tls(_config: Any, make_context: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = make_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
