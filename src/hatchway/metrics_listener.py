"""The listener at which Prometheus asks a process for its metrics."""

from __future__ import annotations

import errno
import socket
import threading
from contextlib import contextmanager, suppress
from http.client import LineTooLong
from io import BufferedReader
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry

    from hatchway.settings import Address

READY_PATH: Final = "/readyz"
"""Where the listener says whether the process is ready."""
DRAIN_PATH: Final = "/drain"
"""Where a process is asked to take no more work, if it can be. At every other path there are the metrics."""

MOST_CONNECTIONS: Final = 64
"""At once. Of more, the one that is open for longest is closed: strangers keep nobody out."""

LARGEST_HEAD: Final = 16 * 1024
"""Bytes of a request that are read, its line and its headers. Python itself takes 6 MiB of a connection."""

_SILENCE: Final = 10.0
"""Seconds for which somebody may send nothing, or read nothing."""
_PORT_INTERVAL: Final = 0.5
"""Seconds between two attempts to listen on a port that another process still holds."""


class ProcessMetrics(Protocol):
    """What a process tells."""

    @property
    def registry(self) -> CollectorRegistry: ...
    @property
    def is_ready(self) -> bool: ...


class Question(NamedTuple):
    """What was asked at `DRAIN_PATH`, from what address; `origin` is of the page that did so in a browser."""

    method: str
    peer: str
    origin: str | None


class Answer(NamedTuple):
    """`status` has its reason (RFC 9110 section 15), `text` is a line, `allow` names the methods."""

    status: str
    text: str
    allow: str | None = None


class MetricsListener:
    """Answers Prometheus in a thread.

    Attributes:
        port: where; None while it does not.
    """

    def __init__(
        self,
        metrics: ProcessMetrics,
        address: Address,
        *,
        patient: bool = False,
        drain: Callable[[Question], Answer] | None = None,
    ) -> None:
        """With `patient` it waits for the port as long as another process holds it. `drain` answers at
        `DRAIN_PATH`.

        Raises:
            OSError: it cannot listen there.
        """
        self.port: int | None = None
        self._metrics = metrics
        self._address = address
        self._drain = drain
        self._closing = threading.Event()
        self._server: tuple[WSGIServer, threading.Thread] | None = None
        self._waiting: threading.Thread | None = None
        try:
            self._listen()
        except OSError as problem:
            if not patient or problem.errno != errno.EADDRINUSE:
                raise
            self._waiting = threading.Thread(target=self._wait, name="metrics-port", daemon=True)
            self._waiting.start()

    def close(self) -> None:
        """Release the port. A second call has no effect."""
        self._closing.set()
        if self._waiting is not None:
            self._waiting.join()
            self._waiting = None
        if self._server is not None:
            (server, thread), self._server = self._server, None
            server.shutdown()
            server.server_close()
            thread.join()

    def _listen(self) -> None:
        address = self._address
        try:
            server = _Server(address)
        except OSError as problem:
            # A server has several ports: this names the one.
            raise OSError(problem.errno, problem.strerror, f"{address} for metrics") from problem
        server.set_app(_with_readiness(make_wsgi_app(self._metrics.registry), self._metrics, self._drain))
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        self._server = server, thread
        thread.start()
        self.port = server.server_port

    def _wait(self) -> None:
        while not self._closing.wait(_PORT_INTERVAL):
            try:
                self._listen()
            except OSError:
                continue
            return


class _Server(ThreadingMixIn, WSGIServer):
    """Answers each connection in a thread of its own, of which there are a bounded number."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: Address) -> None:
        """
        Raises:
            OSError: it cannot listen there.
        """
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self._open: dict[socket.socket, None] = {}
        self._lock = threading.Lock()
        super().__init__((str(place[0]), int(place[1])), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) >= MOST_CONNECTIONS:
                longest = next(iter(self._open))
                del self._open[longest]
                with suppress(OSError):
                    longest.shutdown(socket.SHUT_RDWR)
            self._open[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asks may go away at any moment."""


class _Head(BufferedReader):
    """What a request's head is read from."""

    _left = LARGEST_HEAD

    def readline(self, size: int | None = -1, /) -> bytes:
        """
        Raises:
            LineTooLong: the head is larger than `LARGEST_HEAD`. Who sent it is told so.
        """
        # The one byte more tells whether there is more.
        line = super().readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("the head")
        return line


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE

    def setup(self) -> None:
        super().setup()
        self.rfile = _Head(self.rfile.detach())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _with_readiness(
    application: Any, metrics: ProcessMetrics, drain: Callable[[Question], Answer] | None
) -> Callable[..., Iterable[bytes]]:
    """The WSGI application (PEP 3333) with the metrics, with whether the process is ready, and the drain."""

    def respond(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == READY_PATH:
            answer = Answer("200 OK", "ok") if metrics.is_ready else _NOT_READY
        elif path == DRAIN_PATH and drain is not None:
            answer = drain(
                Question(environ["REQUEST_METHOD"], environ["REMOTE_ADDR"], environ.get("HTTP_ORIGIN"))
            )
        else:
            found: Iterable[bytes] = application(environ, start_response)
            return found
        body = f"{answer.text}\n".encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        if answer.allow is not None:
            headers.append(("Allow", answer.allow))
        start_response(answer.status, headers)
        return [body]

    return respond


_NOT_READY: Final = Answer("503 Service Unavailable", "not ready")


@contextmanager
def metrics_listener(
    metrics: ProcessMetrics,
    address: Address | None,
    *,
    patient: bool = False,
    drain: Callable[[Question], Answer] | None = None,
) -> Iterator[MetricsListener | None]:
    """A listener for the context; none when there is no address.

    Raises:
        OSError: it cannot listen there.
    """
    if address is None:
        yield None
        return
    listener = MetricsListener(metrics, address, patient=patient, drain=drain)
    try:
        yield listener
    finally:
        listener.close()
