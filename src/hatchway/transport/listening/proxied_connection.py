"""A load balancer's connection until its PROXY protocol header has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatchway.transport.listening.proxy_protocol import MAX_V2, BadProxyHeader, read_proxy_header

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from hatchway.transport.listening.proxy_protocol import ProxyHeader, TransportAddress


class ProxiedConnection:
    """A load balancer's connection until its PROXY protocol header has come.

    Attributes:
        header: the header; None if none came, or a bad one.
        problem: what is wrong with a bad header.
        received: everything that has been read, beginning with the header.
        seconds: how much time the client has left.
    """

    __slots__ = ("_deadline", "_done", "_loop", "_until", "header", "peer", "problem", "received", "sock")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        peer: TransportAddress,
        seconds: float,
        done: Callable[[ProxiedConnection], None],
    ) -> None:
        """`done` is called once, and at once if the header came together with the connection, as it mostly
        does."""
        self._loop = loop
        self._done = done
        self._until = loop.time() + seconds
        self._deadline: asyncio.TimerHandle | None = None
        self.sock = sock
        self.peer = peer
        self.header: ProxyHeader | None = None
        self.problem: str | None = None
        self.received = b""
        self._read()

    @property
    def seconds(self) -> float:
        return max(0.0, self._until - self._loop.time())

    def _read(self) -> None:
        try:
            data = self.sock.recv(MAX_V2)
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError:
            data = b""
        self.received += data
        try:
            self.header = read_proxy_header(self.received)
        except BadProxyHeader as bad:
            self.problem = str(bad)
            data = b""
        if data and self.header is None:
            self._wait()
        else:
            self._end()

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_at(self._until, self._end)
        else:
            # libuv no longer polls a descriptor once it has an error (issue 3796): it would never report a
            # reset right behind what has just been read.
            self._loop.remove_reader(self.sock)
        self._loop.add_reader(self.sock, self._read)

    def _end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._loop.remove_reader(self.sock)
        self._done(self)
