"""What bounds a tunnel at the client's end, whichever relay carries it. Loads nothing but `socket`."""

from __future__ import annotations

import socket
from typing import Final

BACKLOG_LIMIT: Final = 256 * 1024
"""Bytes not yet taken by the local output beyond which nothing more is read from the gateway."""

CLOSE_TIMEOUT: Final = 15.0
"""Seconds for the gateway to answer our Close, once nothing of ours waits here any more.

It reads nothing while it connects to the target, for which it has ten seconds: it must have the time to say
that it could not.
"""

LEAVE_TIMEOUT: Final = 5.0
"""Seconds for the gateway to answer our Close when we are told to end."""

HANG_UP_TIMEOUT: Final = 1.0
"""Seconds for the connection to end after both Closes. Nothing that matters is under way any more."""

CHECK_INTERVAL: Final = 1.0
"""Seconds between looks at whether somebody still wants what comes, once local input has ended."""

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
