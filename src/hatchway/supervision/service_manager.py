"""The service manager that started this process: systemd, by its own protocol.

It is told how far the server is (sd_notify(3)), and keeps file descriptors for the process that it starts
next (systemd.service(5), FileDescriptorStoreMax=), which has them as sd_listen_fds(3) says. It keeps them
over a restart, and closes them when the service is stopped.
"""

import array
import os
import select
import socket
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
_SECONDS: Final = 5.0
"""For it to take a message when its socket is full."""
_FIRST_DESCRIPTOR: Final = 3
_MOST_DESCRIPTORS: Final = 4096

log = structlog.get_logger("hatchway.supervision")


class ServiceManager:
    """
    Attributes:
        kept: the sockets that it kept, each with the name under which it was to.
    """

    def __init__(self, address: str, kept: Sequence[tuple[str, socket.socket]] = ()) -> None:
        self.kept = list(kept)
        # "@" stands for the NUL with which an abstract address begins (unix(7)).
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def of_environment(cls) -> "ServiceManager | None":
        """The one that started this process; None without one. Processes started from here do not see it."""
        address = os.environ.pop(SOCKET_VARIABLE, "")
        pid, count, names = (
            os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
        )
        if not address.startswith(("/", "@")):
            return None
        return cls(address, _kept(count, names) if pid == str(os.getpid()) else ())

    def tell(self, *assignments: str) -> None:
        """Sends assignments such as READY=1. What cannot be told is logged: the server can do without."""
        try:
            self._send(assignments)
        except OSError as problem:
            log.warning("service manager not told", what=assignments[0], problem=str(problem))

    def keep(self, name: str, sock: socket.socket) -> None:
        """Has it keep a socket for the next process.

        Raises:
            OSError: it cannot be told.
        """
        self._send(("FDSTORE=1", f"FDNAME={name}"), sock.fileno())

    def forget(self, names: Iterable[str]) -> None:
        """Has it close what it keeps under these names."""
        for name in sorted(set(names)):
            self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def settle(self, seconds: float) -> None:
        """Waits until it has dealt with all that it was told (sd_notify_barrier(3)).

        Raises:
            OSError: it cannot be told, or has not in time.
        """
        here, there = os.pipe()
        try:
            try:
                self._send(("BARRIER=1",), there)
            finally:
                os.close(there)
            poll = select.poll()
            poll.register(here, select.POLLHUP)
            # It closes its copy then.
            if not poll.poll(seconds * 1000):
                raise TimeoutError("the service manager does not answer")
        finally:
            os.close(here)

    def _send(self, assignments: Sequence[str], descriptor: int | None = None) -> None:
        rights = [] if descriptor is None else [array.array("i", [descriptor])]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(_SECONDS)
            sock.connect(self._address)
            sock.sendmsg(
                ["\n".join(assignments).encode()],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, each) for each in rights],
            )


def _kept(count: str, names: str) -> list[tuple[str, socket.socket]]:
    if not count.isdecimal() or int(count) > _MOST_DESCRIPTORS:
        return []
    found = []
    for number, name in enumerate(names.split(":")[: int(count)]):
        try:
            sock = socket.socket(fileno=_FIRST_DESCRIPTOR + number)
        except OSError as problem:
            log.warning("no socket", name=name, problem=str(problem))
            continue
        sock.set_inheritable(False)
        found.append((name, sock))
    return found
