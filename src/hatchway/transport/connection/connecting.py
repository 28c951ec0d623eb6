"""Connects to a TCP port, by readiness, within a time limit and optionally from another address."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

from hatchway.transport.connection.readiness import WRITABLE
from hatchway.transport.connection.transparent_proxying import take_address

if TYPE_CHECKING:
    import asyncio

    from hatchway.domain.addresses import Address
    from hatchway.transport.connection.readiness import Readiness

CONNECT_TIMEOUT: Final = 10.0
"""Seconds within which the other side must answer."""

TIMEOUT: Final = "timeout"
CANCELLED: Final = "cancelled"

_NOT_MADE: Final = "the target cannot be connected"
_AFTERWARDS: Final = frozenset({errno.ECONNRESET, errno.EPIPE})
"""Errors of a connection that was made and reset before anybody looked: what it brought can still be read. If
the connection was refused by a reset, the error is ECONNREFUSED (connect(2))."""

_SYN_SENT: Final = 2
_CLOSED: Final = 7
"""States of a socket that is not connected, in the first byte of TCP_INFO (tcp(7), linux/tcp_states.h)."""


class Attempt:
    """A connection that is being made.

    Attributes:
        outcome: done with the socket when the connection is made, or with None when it cannot be.
        problem: why it cannot be made: the name of an `OSError`, `TIMEOUT` or `CANCELLED`.
    """

    __slots__ = ("_socket", "_timer", "_watched", "outcome", "problem", "readiness")

    is_untrusted = False

    def __init__(
        self, readiness: Readiness, address: Address, port: int, source: Address | None = None
    ) -> None:
        """Start to connect to a TCP port, from the given address or one of the machine's own."""
        self.readiness = readiness
        self.outcome: asyncio.Future[socket.socket | None] = readiness.loop.create_future()
        self.problem: str | None = None
        self._watched = False
        self._timer = readiness.loop.call_later(CONNECT_TIMEOUT, self._fail, TIMEOUT)
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as problem:
            self._settle(None, type(problem).__name__)
            return
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                take_address(self._socket, source)
            self._begin(address, port)
        except OSError as problem:
            self._fail(type(problem).__name__)

    def happened(self, _events: int) -> None:
        # `connect` is not called again: then the kernel would forget what came before a reset.
        state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state == _SYN_SENT:
            return
        if state == _CLOSED:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code not in _AFTERWARDS:
                self._fail(type(OSError(code, _NOT_MADE)).__name__)
                return
        self._settle(self._socket, None)

    def abort(self) -> None:
        """Give up, if the connection has not been made yet."""
        self._fail(CANCELLED)

    def _begin(self, address: Address, port: int) -> None:
        """Ask the kernel to connect.

        Raises:
            OSError: refused, unreachable, or the like; or the socket cannot be watched.
        """
        code = self._socket.connect_ex((str(address), port))
        if not code:
            self._settle(self._socket, None)
        elif code != errno.EINPROGRESS:
            raise OSError(code, _NOT_MADE)
        else:
            self.readiness.watch(self._socket.fileno(), WRITABLE, self)
            self._watched = True

    def _fail(self, problem: str) -> None:
        if not self.outcome.done():
            self._settle(None, problem)
            self._socket.close()

    def _settle(self, made: socket.socket | None, problem: str | None) -> None:
        self._timer.cancel()
        if self._watched:
            self.readiness.forget(self._socket.fileno())
        self.problem = problem
        self.outcome.set_result(made)
