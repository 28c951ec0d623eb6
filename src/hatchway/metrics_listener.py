"""The listener at which Prometheus asks a process for its metrics."""

from __future__ import annotations

import errno
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from prometheus_client import start_http_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry

    from hatchway.settings import Address

READY_PATH: Final = "/readyz"
"""Where the listener says whether the process is ready; at every other path it has the metrics."""

_PORT_INTERVAL: Final = 0.5
"""Seconds between two attempts to listen on a port that another process still holds."""


class ProcessMetrics(Protocol):
    """What a process tells."""

    @property
    def registry(self) -> CollectorRegistry: ...
    @property
    def is_ready(self) -> bool: ...


class MetricsListener:
    """Answers Prometheus in a thread.

    Attributes:
        port: where; None while it does not.
    """

    def __init__(self, metrics: ProcessMetrics, address: Address, *, patient: bool = False) -> None:
        """With `patient` it waits for the port as long as another process holds it.

        Raises:
            OSError: it cannot listen there.
        """
        self.port: int | None = None
        self._metrics = metrics
        self._address = address
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
        self._server = start_http_server(address.port, address.host, registry=self._metrics.registry)
        server = self._server[0]
        server.set_app(_with_readiness(server.get_app(), self._metrics))
        self.port = server.server_port

    def _wait(self) -> None:
        while not self._closing.wait(_PORT_INTERVAL):
            try:
                self._listen()
            except OSError:
                continue
            return


def _with_readiness(application: Any, metrics: ProcessMetrics) -> Callable[..., Iterable[bytes]]:
    """The WSGI application (PEP 3333) with the metrics, and at `READY_PATH` whether the process is ready."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != READY_PATH:
            found: Iterable[bytes] = application(environ, start_response)
            return found
        status, body = (
            ("200 OK", b"ok\n") if metrics.is_ready else ("503 Service Unavailable", b"not ready\n")
        )
        start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return answer


@contextmanager
def metrics_listener(
    metrics: ProcessMetrics, address: Address | None, *, patient: bool = False
) -> Iterator[MetricsListener | None]:
    """A listener for the context; none when there is no address.

    Raises:
        OSError: it cannot listen there.
    """
    if address is None:
        yield None
        return
    listener = MetricsListener(metrics, address, patient=patient)
    try:
        yield listener
    finally:
        listener.close()
