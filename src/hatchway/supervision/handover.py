"""What one supervisor takes over from the one before it, and leaves to the next: sockets that listen, and
ties.

A restart of the service goes so. The old supervisor has the service manager keep its processes' listening
sockets and their ties (see `supervised`), takes its leave from them, and ends. The processes go on
serving. The next supervisor starts its own with the same listening sockets. When these are ready it tells
the elders that they are succeeded: they accept no more, finish what they have begun, and end with their last
tunnel. If it never comes so far, the service manager closes the ties in the end, and the elders stop as if
told to.

Since no listening socket is ever closed, no connection that waits in one is lost.
"""

import asyncio
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from hatchway.settings import Address
from hatchway.supervision.service_manager import ServiceManager
from hatchway.supervision.supervised import LEAVING, SUCCEEDED
from hatchway.transport.listening.listener import bind_shared

TIE: Final = "tie"
"""The name under which a service manager keeps ties; listening sockets have that of what listens."""

_ANSWER_SECONDS: Final = 5.0

log = structlog.get_logger("hatchway.supervisor")


class Succession:
    """Between this process and the supervisors before and after it; without a service manager there are
    none."""

    def __init__(self, manager: ServiceManager | None = None) -> None:
        self._manager = manager
        kept = [] if manager is None else manager.kept
        self._names = {name for name, _ in kept}
        self._listeners = [(name, sock) for name, sock in kept if name != TIE]
        self._elders = [sock for name, sock in kept if name == TIE]
        for sock in self._elders:
            sock.setblocking(False)

    @property
    def has_elders(self) -> bool:
        """Whether processes of an earlier supervisor may still be there."""
        return bool(self._elders)

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
        """This supervisor's processes serve: the elders need not any more."""
        if self._manager is None:
            return
        for _, sock in self._listeners:
            # Fewer workers than there were. The elder has the last copy, and accepts what waits in it.
            sock.close()
        self._listeners.clear()
        self._manager.forget(self._names)
        self._names.clear()
        self._manager.tell("READY=1", f"STATUS=Serving {urls}")
        try:
            await asyncio.to_thread(self._manager.settle, _ANSWER_SECONDS)
        except OSError as problem:
            log.warning("service manager does not answer", problem=str(problem))
        for tie in self._elders:
            with suppress(OSError):
                tie.send(SUCCEEDED)

    def stopping(self) -> None:
        """This server stops."""
        if self._manager is not None:
            self._manager.tell("STOPPING=1")

    async def leave(
        self, listeners: Iterable[tuple[str, socket.socket]], ties: Sequence[socket.socket]
    ) -> None:
        """Leave this supervisor's processes to the next one: it may end then, and they do not.

        Raises:
            OSError: there is nobody who keeps what the next one needs. The processes may know already.
        """
        if self._manager is None:
            raise OSError("no service manager started this server")
        self._manager.tell("STOPPING=1")
        for name, sock in listeners:
            self._manager.keep(name, sock)
        for tie in (*ties, *filter(_lives, self._elders)):
            self._manager.keep(TIE, tie)
        await asyncio.to_thread(self._manager.settle, _ANSWER_SECONDS)
        await asyncio.gather(*map(_take_leave, ties))

    async def end_elders(self, within: float) -> None:
        """Have the elders stop, and wait for their end, for some seconds at most."""
        living = [tie for tie in self._elders if _lives(tie)]
        for tie in living:
            with suppress(OSError):
                tie.shutdown(socket.SHUT_WR)
        if living:
            log.info("processes of before the last restart stop", processes=len(living))
            await asyncio.wait([asyncio.create_task(_end(tie)) for tie in living], timeout=within)


async def _take_leave(tie: socket.socket) -> None:
    """From a process that answers. One that does not is about to end, and ends with this process."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            await loop.sock_sendall(tie, LEAVING)
            await loop.sock_recv(tie, 1)


async def _end(tie: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while await loop.sock_recv(tie, 16):
            pass


def _lives(tie: socket.socket) -> bool:
    """Whether the process at the other end is still there."""
    try:
        return tie.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
