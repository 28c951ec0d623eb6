"""What bounds a tunnel at the client's end, whichever relay carries it. Loads nothing but `socket`."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hatchway.client.tunnel.local import LocalEnd

BACKLOG_LIMIT: Final = 256 * 1024
"""Bytes not yet taken by the local output beyond which nothing more is read from the gateway."""

MOST_FRAMES: Final = 128
"""Frames of a gateway that are read before others have their turn, and signals: they may have two bytes."""

CLOSE_TIMEOUT: Final = 15.0
"""Seconds for the gateway to answer our Close, once it has all of ours or takes no more of it.

It reads nothing while it connects to the target, for which it has ten seconds: it must have the time to say
that it could not.
"""

LEAVE_TIMEOUT: Final = 5.0
"""Seconds for the gateway to take what was sent, and to answer our Close, when we are told to end."""

_CLOSE_SIZE: Final = 30
"""Bytes of our Close on its way: a frame (RFC 6455 section 5.5.1) in a record (RFC 8446 section 5.2)."""

HANG_UP_TIMEOUT: Final = 1.0
"""Seconds for the connection to end after both Closes. Nothing that matters is under way any more."""

CHECK_INTERVAL: Final = 1.0
"""Seconds between looks at whether somebody still wants what comes, once local input has ended."""

NO_CLOSE: Final = "the gateway did not answer when the tunnel was to end"
"""Why a tunnel ended that nobody here wanted any more."""


def no_close(owed: int) -> str:
    """The same of a gateway that has not acknowledged so many bytes of what was sent."""
    return f"{NO_CLOSE}, and had not taken the last {owed} bytes" if owed else NO_CLOSE


def untaken(unsent: int, descriptor: int, local: LocalEnd) -> int:
    """Bytes of the local input that the gateway has not taken: a few more, for TLS has its own among them.

    Args:
        unsent: what the kernel has not taken for it, our Close at the end.
        descriptor: that of the connection to it.
    """
    return max(0, unsent + unacknowledged(descriptor) - _CLOSE_SIZE) + local.waiting()


def cut_short(untaken: int) -> str:
    """What is said of a tunnel that a signal ended before the gateway had taken so many bytes."""
    return f"the signal ended the tunnel before the gateway had taken the last {untaken} bytes"


_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""A gateway that vanished is noticed in a minute. Pings would take a full local pipe for the same thing."""


def keep_alive(sock: socket.socket) -> None:
    """Has the kernel notice that the other end has vanished, where it can be told how soon."""
    if sock.family == getattr(socket, "AF_UNIX", None):
        # Of a proxy, within this machine.
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def unacknowledged(descriptor: int) -> int:
    """Bytes that the kernel has been given for the other end of a connection, and that one's kernel has not
    acknowledged (tcp(7), SIOCOUTQ); 0 where it does not say."""
    return _asked("TIOCOUTQ", descriptor)


def unread(descriptor: int) -> int:
    """Bytes that have come to a pipe or a connection, and nobody has read (pipe(7), FIONREAD); 0 where the
    kernel does not say."""
    return _asked("FIONREAD", descriptor)


def _asked(question: str, descriptor: int) -> int:
    try:
        import fcntl
        import termios
    except ModuleNotFoundError:
        # Windows has neither.
        return 0
    try:
        answer = fcntl.ioctl(descriptor, getattr(termios, question), bytes(4))
    except (OSError, ValueError):
        # The connection is closed, or no such thing is known of it here.
        return 0
    return int.from_bytes(answer, sys.byteorder)
