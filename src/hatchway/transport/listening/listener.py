"""Accepts connections, and limits what they may cost while their clients have not authenticated yet.

Clients that are being served share one event loop with the TLS handshakes of unknown clients. So a connection
is judged by its source as soon as it is accepted, while it is a bare socket: see `sources`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.domain.addresses import parse_address, within
from hatchway.transport.listening.accept_queue import QUEUE_TIMEOUT, AcceptQueue
from hatchway.transport.listening.load_shedding import (
    BAD_PROXY_HEADER,
    LOG_INTERVAL,
    NO_TURN,
    SOURCE_WASTES,
    TOO_MANY_PENDING,
    LoadShedding,
)
from hatchway.transport.listening.proxied_connection import ProxiedConnection
from hatchway.transport.listening.proxy_protocol import TransportAddress
from hatchway.transport.listening.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatchway.transport.listening.sources import Source, Sources

REQUEST_DEADLINE: Final = 5.0
"""Seconds from the connection to the end of the request's headers, without the time in the accept queue."""

MAX_PENDING: Final = 1000
"""Connections that have not sent their request yet; further ones are reset at once."""

_KNOWN_SHARE: Final = 4
"""One in so many of them is reserved for known sources."""

BACKLOG: Final = 1024

MAX_ACCEPTS: Final = 16
"""The most connections accepted in one turn of the event loop."""

_ACCEPTING: Final = 0.0005
"""Seconds after which no further connection is accepted in that turn: to begin one costs as much as many
frames."""

PAUSE: Final = 0.05
"""Seconds without accepting after all waiting connections were accepted, if some were reset or some are
queued; the kernel queues new ones meanwhile.

To reset a connection takes about 16 µs if several are there, and several times as much if it is alone; the
same is true of queueing one.
"""

SHARE: Final = 0.04
"""The largest part of the event loop's time that accepting takes while more connections wait and some are
reset."""

_EXHAUSTED_PAUSE: Final = 0.1
"""Seconds without accepting if the process has no file descriptors left, or the kernel no memory."""

_QUEUE_CHECK: Final = 0.05
"""Seconds between two checks whether a queued connection may be served."""

_RESET: Final = struct.pack("ii", 1, 0)

log = structlog.get_logger("hatchway.transport")


def bind_shared(host: str, port: int) -> socket.socket:
    """A TCP socket bound to an IP address and a port that other processes of this user may bind too.

    Workers share their port, and a supervisor holds it for workers that it starts again.

    Raises:
        OSError: the port is not available; its `filename` is the address and the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
    except OSError as problem:
        sock.close()
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise OSError(problem.errno, problem.strerror, where) from None
    return sock


@dataclass(slots=True)
class AcceptedConnection:
    """An accepted connection which speaks TLS next.

    Attributes:
        received: what has been read from it already.
        seconds: how long its request may still take.
        until: the time at which it has been queued for too long.
    """

    sock: socket.socket
    peer: TransportAddress
    received: bytes
    seconds: float
    until: float


class Listener:
    """One listening socket of one worker."""

    def __init__(
        self,
        begin: Callable[[AcceptedConnection, Callable[[], None]], None],
        sources: Sources,
        *,
        proxies: tuple[str, ...] = (),
        max_pending: int = MAX_PENDING,
        request_deadline: float = REQUEST_DEADLINE,
        queue_timeout: float = QUEUE_TIMEOUT,
    ) -> None:
        """
        Args:
            begin: takes over each connection that is served. It must call the function that it gets with it
                once, when the request has come or the connection is gone.
            sources: must be told the outcome.
            proxies: the CIDR ranges of the load balancers. A connection from one of them begins with a PROXY
                protocol header, which names its client and so the source that it counts for; from any other
                address such a header is not accepted. A load balancer's own connections, such as health
                checks, have no limit.
            queue_timeout: how many seconds a connection may stay in the accept queue.
        """
        self._serve = begin
        self._sources = sources
        self._proxies = proxies
        self._max_pending = max_pending
        self._request_deadline = request_deadline
        self._queue_timeout = queue_timeout
        self._pending = 0
        self._queue = AcceptQueue[AcceptedConnection]()
        self._queue_timer: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._sock: socket.socket | None = None
        self._silent_until = 0.0
        self._reset = 0

    @property
    def pending(self) -> int:
        """Connections that have not sent their request yet, including those in the accept queue."""
        return self._pending

    @property
    def shed(self) -> Mapping[str, int]:
        """How many connections were reset before TLS, by reason."""
        return self._shed_connections.counts

    async def start(self, sock: socket.socket) -> None:
        """Start to accept. The socket is bound, and is closed with the listener."""
        sock.setblocking(False)
        sock.listen(BACKLOG)
        # Accepted sockets inherit this option from the listening socket.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop = asyncio.get_running_loop()
        self._shed_connections = LoadShedding(self._loop.time)
        self._sock = sock
        self._resume()

    def retire(self) -> None:
        """Accept what the kernel has queued, then no more: other processes do. What is accepted or queued is
        served.

        If this is the last copy of the socket, the kernel resets new connections from now on.
        """
        sock = self._release()
        if sock is None:
            return
        with sock, suppress(OSError):
            for _ in range(BACKLOG):
                try:
                    self._take(*sock.accept())
                except (ConnectionError, InterruptedError):
                    continue

    def stop(self) -> None:
        """Accept no more. Connections that are served stay; those in the accept queue are reset."""
        sock = self._release()
        if sock is not None:
            sock.close()
        if self._queue_timer is not None:
            self._queue_timer.cancel()
        while self._queue:
            self._drop(self._queue.next().sock)

    def _release(self) -> socket.socket | None:
        """The listening socket, which is no longer watched; None if it was not."""
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._pause is None:
                self._loop.remove_reader(sock)
            else:
                self._pause.cancel()
        return sock

    def _resume(self) -> None:
        # A listener that was released has no pause any more.
        assert self._sock is not None
        self._pause = None
        self._loop.add_reader(self._sock, self._accept, self._sock)

    def _pause_for(self, seconds: float) -> None:
        assert self._sock is not None
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(seconds, self._resume)

    def _accept(self, listening: socket.socket) -> None:
        reset, began, pause = self._reset, time.thread_time(), 0.0
        for _ in range(MAX_ACCEPTS):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                pause = PAUSE
                break
            except (ConnectionError, InterruptedError):
                continue
            except OSError as problem:
                self._log_exhaustion(problem)
                self._pause_for(_EXHAUSTED_PAUSE)
                return
            self._take(sock, peer)
            if time.thread_time() - began > _ACCEPTING:
                break
        if self._reset != reset:
            self._pause_for(pause or (time.thread_time() - began) / SHARE)
        elif pause and self._queue:
            self._pause_for(pause)

    def _log_exhaustion(self, problem: OSError) -> None:
        """Log that nothing can be accepted, but not each time."""
        now = self._loop.time()
        if now >= self._silent_until:
            self._silent_until = now + LOG_INTERVAL
            log.error("no connection can be accepted", problem=str(problem))

    def _take(self, sock: socket.socket, peer: tuple[Any, ...]) -> None:
        """Find out whose connection this is."""
        sock.setblocking(False)
        address, port = peer[0].partition("%")[0], peer[1]
        self._pending += 1
        if self._pending > self._max_pending:
            self._shed(sock, TOO_MANY_PENDING, address)
            return
        if self._proxies and within(parse_address(address), self._proxies):
            proxy = TransportAddress(parse_address(address), port)
            ProxiedConnection(self._loop, sock, proxy, self._request_deadline, self._proxied)
            return
        source = source_of(address)
        if self._sources.admits(source):
            client = TransportAddress(parse_address(address), port)
            self._admit(sock, client, source, b"", self._request_deadline)
        else:
            self._shed(sock, SOURCE_WASTES, address)

    def _proxied(self, begun: ProxiedConnection) -> None:
        """The load balancer has sent its header, or has failed to."""
        header = begun.header
        if header is None:
            if begun.problem is not None:
                self._shed_connections.add(BAD_PROXY_HEADER, str(begun.peer.address), problem=begun.problem)
            self._drop(begun.sock)
            return
        rest = begun.received[header.size :]
        if header.source is None:
            self._admit(begun.sock, begun.peer, None, rest, begun.seconds)
            return
        address = str(header.source.address)
        source = source_of(address)
        if self._sources.admits(source):
            self._admit(begun.sock, header.source, source, rest, begun.seconds)
        else:
            self._shed(begun.sock, SOURCE_WASTES, address)

    def _admit(
        self,
        sock: socket.socket,
        peer: TransportAddress,
        source: Source | None,
        received: bytes,
        seconds: float,
    ) -> None:
        """Serve it now, or queue it. A connection without a source, which is a load balancer's own, is served
        now and never counted."""
        accepted = AcceptedConnection(sock, peer, received, seconds, self._loop.time() + self._queue_timeout)
        full = self._pending > self._max_pending - self._max_pending // _KNOWN_SHARE
        if source is None:
            self._begin(accepted)
        elif self._sources.knows(source) or (
            not full and not self._queue and self._sources.unknown_may_begin()
        ):
            self._sources.begins()
            self._begin(accepted)
        else:
            evicted = self._queue.add(source, accepted, full=full)
            if evicted is not None:
                self._shed(evicted.sock, NO_TURN, str(evicted.peer.address))
            if self._queue_timer is None:
                self._queue_timer = self._loop.call_later(_QUEUE_CHECK, self._serve_queue)

    def _serve_queue(self) -> None:
        now = self._loop.time()
        while self._queue and self._sources.unknown_may_begin():
            accepted = self._queue.next()
            if accepted.until < now:
                self._shed(accepted.sock, NO_TURN, str(accepted.peer.address))
                continue
            self._sources.begins()
            self._begin(accepted)
        self._queue_timer = self._loop.call_later(_QUEUE_CHECK, self._serve_queue) if self._queue else None

    def _begin(self, accepted: AcceptedConnection) -> None:
        try:
            self._serve(accepted, self._settled)
        except Exception as problem:
            # Its place is free again.
            self._drop(accepted.sock)
            what = {"message": "a connection could not be served", "exception": problem}
            self._loop.call_exception_handler(what)

    def _settled(self) -> None:
        self._pending -= 1

    def _shed(self, sock: socket.socket, reason: str, address: str) -> None:
        self._shed_connections.add(reason, address)
        self._reset += 1
        self._drop(sock)

    def _drop(self, sock: socket.socket) -> None:
        """Reset a connection that has no transport yet."""
        self._pending -= 1
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.close()
