"""A server's process and its supervisor: what the one has of the other, and how it can outlive it.

A supervisor starts each process with a socket to listen on and with a **control socket**, a stream socket
that is the process's standard input; single bytes go over it. The process dies with its supervisor, unless
the supervisor detaches first: when a service manager restarts the server, the processes go on serving until
those of the next supervisor do, and then finish what they have. The next supervisor gets the other ends of
their control sockets, and of their listening sockets, from the service manager, which kept them.
"""

import ctypes
import os
import signal
import socket
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

SUPERVISOR_VARIABLE: Final = "HATCHWAY_SUPERVISOR_PID"
LISTENER_VARIABLE: Final = "HATCHWAY_LISTENER"
"""The file descriptor of the socket to listen on."""
REPLACES_VARIABLE: Final = "HATCHWAY_SUCCEEDS"
"""Set where processes of an earlier supervisor may still be there."""

# A supervisor and processes of different versions talk so: these bytes do not change.
DETACH: Final = b"L"
"""The supervisor detaches. The same byte is the answer: this process goes on without it."""
REPLACED: Final = b"S"
"""The processes of the next supervisor serve."""

_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger("hatchway.supervision")


class Supervised:
    """What a process has of its supervisor.

    Attributes:
        listener: a bound socket to listen on; None for a process that has to bind one itself.
        replaces: whether processes of an earlier supervisor may still be there.
    """

    def __init__(
        self, control_socket: socket.socket, *, listener: socket.socket | None = None, replaces: bool = False
    ) -> None:
        self.listener = listener
        self.replaces = replaces
        self._control_socket = control_socket
        self._replaced = False

    @classmethod
    def of_environment(cls) -> "Supervised | None":
        """In a process that a supervisor started: has the kernel kill it when that is gone (prctl(2)).

        None in a process that runs alone.
        """
        parent = os.environ.pop(SUPERVISOR_VARIABLE, None)
        listener = os.environ.pop(LISTENER_VARIABLE, None)
        replaces = os.environ.pop(REPLACES_VARIABLE, None) is not None
        if parent is None:
            return None
        # It is for the supervisor; sent to all processes of a service, it would end this one.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        _ask_for_death_signal(signal.SIGKILL)
        if os.getppid() != int(parent):
            # It went before the kernel was asked.
            os.kill(os.getpid(), signal.SIGKILL)
        control_socket = socket.socket(fileno=os.dup(0))
        return cls(
            control_socket,
            listener=None if listener is None else socket.socket(fileno=int(listener)),
            replaces=replaces,
        )

    def watch(
        self, loop: AbstractEventLoop, *, replaced: Callable[[], None], orphaned: Callable[[], None]
    ) -> None:
        """Does what the supervisor says from now on.

        Args:
            replaced: called once, when others serve at the same port and this process need not any more.
            orphaned: called when there is neither supervisor nor successor.
        """

        def readable() -> None:
            # All there is: libuv tells of an error once, and polls no more (its issue 3796), so that of a
            # reset right behind a byte nothing else would tell.
            while (words := self._read()) is not None:
                if not words:
                    loop.remove_reader(self._control_socket)
                    orphaned()
                    return
                if DETACH in words:
                    log.info("supervisor leaves")
                    _ask_for_death_signal(0)
                    # Who is gone already is noticed next.
                    with suppress(OSError):
                        self._control_socket.send(DETACH)
                if REPLACED in words and not self._replaced:
                    # Each supervisor that comes says so.
                    self._replaced = True
                    replaced()

        self._control_socket.setblocking(False)
        loop.add_reader(self._control_socket, readable)

    def _read(self) -> bytes | None:
        """What the supervisor says: nothing where it is gone, None where it has said no more yet."""
        try:
            return self._control_socket.recv(16)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""


def _ask_for_death_signal(number: int) -> None:
    """Has the kernel send this process a signal when its parent is gone; 0 for none."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
