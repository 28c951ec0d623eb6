"""A server's process and its supervisor: what the one has of the other, and how it can outlive it.

A supervisor starts each process with a socket to listen on and with a **tie**, a stream socket that is the
process's standard input. The process dies with its supervisor, unless that takes its leave: when a service
manager starts the server anew, the processes go on serving until those of the next supervisor do, and then
have only what is theirs already. The next supervisor has the other ends of their ties, and of their
listening sockets, from the service manager, which kept them. What goes over a tie is single bytes.
"""

import ctypes
import os
import signal
import socket
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable
from typing import Final

import structlog

SUPERVISOR_VARIABLE: Final = "HATCHWAY_SUPERVISOR_PID"
LISTENER_VARIABLE: Final = "HATCHWAY_LISTENER"
"""The file descriptor of the socket to listen on."""
SUCCEEDS_VARIABLE: Final = "HATCHWAY_SUCCEEDS"
"""Set where processes of an earlier supervisor may still be there."""

LEAVING: Final = b"L"
"""The supervisor takes its leave. The same byte is the answer: this process goes on without."""
SUCCEEDED: Final = b"S"
"""The processes of the next supervisor serve."""

_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger("hatchway")


class Supervised:
    """What a process has of its supervisor.

    Attributes:
        listener: a bound socket to listen on; None for a process that has to bind one itself.
        succeeds: whether processes of an earlier supervisor may still be there.
    """

    def __init__(
        self, tie: socket.socket, *, listener: socket.socket | None = None, succeeds: bool = False
    ) -> None:
        self.listener = listener
        self.succeeds = succeeds
        self._tie = tie
        self._succeeded = False

    @classmethod
    def of_environment(cls) -> "Supervised | None":
        """In a process that a supervisor started: has the kernel kill it when that is gone (prctl(2)).

        None in a process that runs alone.
        """
        parent = os.environ.pop(SUPERVISOR_VARIABLE, None)
        listener = os.environ.pop(LISTENER_VARIABLE, None)
        succeeds = os.environ.pop(SUCCEEDS_VARIABLE, None) is not None
        if parent is None:
            return None
        # It is for the supervisor; sent to all processes of a service, it would end this one.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        _ask_for_death_signal(signal.SIGKILL)
        if os.getppid() != int(parent):
            # It went before the kernel was asked.
            os.kill(os.getpid(), signal.SIGKILL)
        tie = socket.socket(fileno=os.dup(0))
        return cls(
            tie,
            listener=None if listener is None else socket.socket(fileno=int(listener)),
            succeeds=succeeds,
        )

    def watch(
        self, loop: AbstractEventLoop, *, succeeded: Callable[[], None], abandoned: Callable[[], None]
    ) -> None:
        """Heeds the supervisor from now on.

        Args:
            succeeded: called once, when others serve at the same port and this process need not any more.
            abandoned: called when there is neither supervisor nor successor.
        """

        def heard() -> None:
            try:
                words = self._tie.recv(16)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                words = b""
            if LEAVING in words:
                log.info("supervisor leaves")
                _ask_for_death_signal(0)
                self._tie.send(LEAVING)
            if SUCCEEDED in words and not self._succeeded:
                # Each supervisor that comes says so.
                self._succeeded = True
                succeeded()
            if not words:
                loop.remove_reader(self._tie)
                abandoned()

        self._tie.setblocking(False)
        loop.add_reader(self._tie, heard)


def _ask_for_death_signal(number: int) -> None:
    """Has the kernel send this process a signal when its parent is gone; 0 for none."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
