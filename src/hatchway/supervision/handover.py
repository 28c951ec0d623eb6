"""A restart without downtime: what one supervisor hands over to the next, listening and control sockets.

1. The old supervisor gives its processes' listening sockets and their control sockets (see `supervised`) to
   the service manager, which keeps them, detaches from the processes, and ends. They go on serving.
2. The next supervisor starts processes of its own on the same listening sockets.
3. When these are ready, it tells the processes of the old one, its **predecessors**, that they are replaced:
   they accept no more, finish what they have begun, and end with their last tunnel.

If the next supervisor never comes so far, the service manager closes the control sockets in the end, and the
predecessors stop as if told to. Since no listening socket is ever closed, no connection that waits in one is
lost.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from hatchway.settings import Address
from hatchway.supervision.service_manager import ServiceManager
from hatchway.supervision.supervised import DETACH, REPLACED
from hatchway.transport.listening.listener import bind_shared

CONTROL_SOCKET: Final = "tie"
"""The name under which a service manager keeps control sockets; listening sockets have that of what listens.

A server of another version reads it: it does not change.
"""

_ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger("hatchway.supervision")


class Handover:
    """Between this process and the supervisors before and after it; without a service manager there are
    none."""

    def __init__(self, manager: ServiceManager | None = None) -> None:
        self._manager = manager
        kept = [] if manager is None else manager.kept
        self._names = {name for name, _ in kept}
        self._listeners = [(name, sock) for name, sock in kept if name != CONTROL_SOCKET]
        self._predecessors = [sock for name, sock in kept if name == CONTROL_SOCKET]
        for sock in self._predecessors:
            sock.setblocking(False)

    @property
    def has_predecessors(self) -> bool:
        """Whether processes of an earlier supervisor may still be there."""
        return bool(self._predecessors)

    def address(self, name: str, host: str, port: int) -> Address | None:
        """Where a socket listens that was taken over: at this address, or at any port for port 0."""
        for kept, sock in self._listeners:
            found = sock.getsockname()
            if kept == name and found[0] == host and port in (0, found[1]):
                return Address(found[0], found[1])
        return None

    def listener(self, name: str, address: Address) -> socket.socket:
        """A socket that is bound to an IP address and a port: one that was taken over, or else a new one.

        Raises:
            OSError: the port cannot be had.
        """
        for each in self._listeners:
            kept, sock = each
            if kept == name and sock.getsockname()[:2] == (address.host, address.port):
                self._listeners.remove(each)
                return sock
        return bind_shared(address.host, address.port)

    async def serving(self, urls: str) -> None:
        """This supervisor's processes serve: the predecessors need not any more."""
        if self._manager is None:
            return
        for _, sock in self._listeners:
            # Fewer workers than there were. the predecessor has the last copy, and accepts what waits in it.
            sock.close()
        self._listeners.clear()
        self._manager.forget(self._names)
        self._names.clear()
        self._manager.tell("READY=1", f"STATUS=Serving {urls}")
        try:
            await asyncio.to_thread(self._manager.settle, _ANSWER_SECONDS)
        except OSError as problem:
            log.warning("service manager does not answer", problem=str(problem))
        for control_socket in self._predecessors:
            with suppress(OSError):
                control_socket.send(REPLACED)

    def stopping(self) -> None:
        """This server stops."""
        if self._manager is not None:
            self._manager.tell("STOPPING=1")

    async def detach(
        self, listeners: Iterable[tuple[str, socket.socket]], control_sockets: Sequence[socket.socket]
    ) -> None:
        """Detach from this supervisor's processes, for the next one: it may end then, and they do not.

        Raises:
            OSError: there is nobody who keeps what the next one needs. The processes may know already.
        """
        if self._manager is None:
            raise OSError("no service manager started this server")
        self._manager.tell("STOPPING=1")
        for name, sock in listeners:
            self._manager.keep(name, sock)
        for control_socket in (*control_sockets, *filter(_lives, self._predecessors)):
            self._manager.keep(CONTROL_SOCKET, control_socket)
        await asyncio.to_thread(self._manager.settle, _ANSWER_SECONDS)
        await asyncio.gather(*map(_detach, control_sockets))

    async def end_predecessors(self, within: float) -> None:
        """Have the predecessors stop, and wait for their end, for some seconds at most."""
        living = [control_socket for control_socket in self._predecessors if _lives(control_socket)]
        for control_socket in living:
            with suppress(OSError):
                control_socket.shutdown(socket.SHUT_WR)
        if living:
            log.info("processes of before the last restart stop", processes=len(living))
            await asyncio.wait(
                [asyncio.create_task(_end(control_socket)) for control_socket in living], timeout=within
            )


async def _detach(control_socket: socket.socket) -> None:
    """From a process that answers. One that does not is about to end, and ends with this process."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            await loop.sock_sendall(control_socket, DETACH)
            await loop.sock_recv(control_socket, 1)


async def _end(control_socket: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while await loop.sock_recv(control_socket, 16):
            pass


def _lives(control_socket: socket.socket) -> bool:
    """Whether the process at the other end is still there."""
    try:
        return control_socket.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
