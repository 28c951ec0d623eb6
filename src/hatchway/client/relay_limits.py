"""What bounds a tunnel at the client's end, whichever relay carries it. Loads nothing but `socket`."""

from __future__ import annotations

import socket
import sys
from typing import Final

BACKLOG_LIMIT: Final = 256 * 1024
"""Bytes not yet taken by the local output beyond which nothing more is read from the gateway."""

CLOSE_TIMEOUT: Final = 15.0
"""Seconds for the gateway to answer our Close, once it has all of ours or takes no more of it.

It reads nothing while it connects to the target, for which it has ten seconds: it must have the time to say
that it could not.
"""

LEAVE_TIMEOUT: Final = 5.0
"""Seconds for the gateway to answer our Close when we are told to end."""

HANG_UP_TIMEOUT: Final = 1.0
"""Seconds for the connection to end after both Closes. Nothing that matters is under way any more."""

CHECK_INTERVAL: Final = 1.0
"""Seconds between looks at whether somebody still wants what comes, once local input has ended."""

NO_CLOSE: Final = "the gateway did not answer when the tunnel was to end"
"""Why a tunnel ended that nobody here wanted any more."""


def no_close(owed: int) -> str:
    """The same of a gateway that has not acknowledged so many bytes of what was sent."""
    return f"{NO_CLOSE}, and had not taken the last {owed} bytes" if owed else NO_CLOSE


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
    try:
        import fcntl
        import termios
    except ModuleNotFoundError:
        # Windows has neither.
        return 0
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        # The connection is closed, or no such thing is known of it here.
        return 0
    return int.from_bytes(answer, sys.byteorder)
