"""The local end of a tunnel: standard input and output, or a connection that somebody made to us."""

from __future__ import annotations

import fcntl
import os
import select
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hatchway.client.errors import InvalidOption

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

PIPE_SIZE: Final = 1 << 20
"""Bytes that a pipe of ours holds, where the system lets us: 64 KiB make the two sides take turns."""


@dataclass(frozen=True, slots=True)
class LocalEnd:
    """Two file descriptors, which may be the same.

    An input or output that is not `…_waits` is always ready, as regular files are, and cannot be polled.
    `is_connection`: what closes its sending side has most likely gone, so that the tunnel should end soon.
    """

    input: int
    output: int
    input_waits: bool
    output_waits: bool
    is_connection: bool

    def reader_is_gone(self) -> bool:
        """Whether nobody can read any more what is written to the output."""
        if not self.output_waits:
            return False
        poll = select.poll()
        poll.register(self.output, 0)
        return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def connection(sock: socket.socket) -> LocalEnd:
    sock.setblocking(False)
    return LocalEnd(sock.fileno(), sock.fileno(), input_waits=True, output_waits=True, is_connection=True)


@contextmanager
def standard_streams(input_fd: int = 0, output_fd: int = 1) -> Iterator[LocalEnd]:
    """Standard input and output, which do not block meanwhile and are put back as they were.

    Raises:
        InvalidOption: standard input is a terminal, or one of the two is closed.
    """
    if os.isatty(input_fd):
        raise InvalidOption(
            "standard input is a terminal: use this command as ssh's ProxyCommand, or give --local-port"
        )
    try:
        input_waits, output_waits = _waits(input_fd), _waits(output_fd)
    except OSError as error:
        raise InvalidOption("standard input and output must both be open") from error
    pollable = [fd for fd, waits in ((input_fd, input_waits), (output_fd, output_waits)) if waits]
    blocked = [fd for fd in pollable if os.get_blocking(fd)]
    try:
        for fd in pollable:
            os.set_blocking(fd, False)
            _widen(fd)
        yield LocalEnd(
            input_fd, output_fd, input_waits=input_waits, output_waits=output_waits, is_connection=False
        )
    finally:
        for fd in blocked:
            os.set_blocking(fd, True)


def _waits(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _widen(fd: int) -> None:
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if set_size is not None:
        try:
            fcntl.fcntl(fd, set_size, PIPE_SIZE)
        except OSError:
            # Not a pipe, or more than this user may have: it works all the same.
            return
