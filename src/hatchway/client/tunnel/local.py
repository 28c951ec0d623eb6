"""The local end of a tunnel: standard input and output, or a connection that somebody made to us."""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import stat
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.errors import InvalidOption, NotHere
from hatchway.client.tunnel import relay_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPE_SIZE: Final = 1 << 20
"""Bytes that a pipe of ours holds, where the system lets us: 64 KiB make the two sides take turns."""


_PART_INTERVAL: Final = 0.05
_MOST_DROPPED: Final = 16
"""Seconds between looks at whether the other side has taken all, and reads of 64 KiB at each of them."""

_NOT_OPEN: Final = "standard input and output must both be open, or give --local-port"


class LocalEnd(NamedTuple):
    """Two file descriptors, which may be the same.

    An input or output that is not `…_waits` is always ready, as regular files are, and cannot be polled.
    `ports`: of a connection from this machine, the other side's port and ours. `output_blocks`: whether a
    write to the output waited for its reader, before and afterwards.
    """

    input: int
    output: int
    input_waits: bool
    output_waits: bool
    ports: tuple[int, int] | None = None
    output_blocks: bool = True

    @property
    def is_socket(self) -> bool:
        """Whether it is a connection, whose both directions are one socket."""
        return self.input == self.output and stat.S_ISSOCK(os.fstat(self.input).st_mode)

    def reader_is_gone(self) -> bool:
        """Whether nobody can read any more what is written to the output."""
        if not self.output_waits:
            return False
        poll = select.poll()
        poll.register(self.output, 0)
        if any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0)):
            return True
        return self.ports is not None and not _is_held(*self.ports)

    def waiting(self) -> int:
        """Bytes of the input that have come and nobody has read."""
        return relay_limits.unread(self.input) if self.input_waits else 0

    def output_socket(self) -> socket.socket | None:
        """The output where it is a connection, by a descriptor of its own.

        Raises:
            OSError: there is no descriptor left.
        """
        if not stat.S_ISSOCK(os.fstat(self.output).st_mode):
            return None
        return socket.socket(fileno=os.dup(self.output))

    def end_output(self) -> None:
        """Let whoever reads the output see its end. What the input has is still to be read."""
        with suppress(OSError):
            sock = self.output_socket()
            if sock is not None:
                with sock:
                    sock.shutdown(socket.SHUT_WR)
            elif stat.S_ISFIFO(os.fstat(self.output).st_mode):
                # The descriptor stays taken: another file that got its number would be written to.
                os.set_blocking(self.output, self.output_blocks)
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.output)
                os.close(nowhere)


def _is_held(port: int, other_port: int) -> bool:
    """Whether a process still has the socket of a TCP connection within this machine.

    Its other side sees the end of what it sends either way. But a socket that every process has closed has no
    inode (proc_pid_net(5)). Where that cannot be seen it counts as held.
    """
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            return True
        for fields in map(str.split, lines):
            if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{other_port:04X}"):
                return fields[9] != "0"
    return False


def parting(sock: socket.socket, *, cut: bool) -> Iterator[float]:
    """Let the other side of a connection have all that came, before this one is closed. Gives, until it has,
    the seconds after which to go on.

    A connection that is closed with bytes unread is reset, which loses what the other side has not taken yet:
    so these are read, and dropped, for as long as it takes more.

    Args:
        sock: it does not block.
        cut: whether more would have come. Then the connection is to be reset, once the other side has what
            there is: its end would pass for that of the whole.

    Raises:
        OSError: the other side has gone.
    """
    if not cut:
        sock.shutdown(socket.SHUT_WR)
    owed, patience = relay_limits.unacknowledged(sock.fileno()), relay_limits.CLOSE_TIMEOUT
    while owed and patience > 0:
        with suppress(BlockingIOError):
            for _ in range(_MOST_DROPPED):
                if not sock.recv(1 << 16):
                    break
        yield _PART_INTERVAL
        before, owed = owed, relay_limits.unacknowledged(sock.fileno())
        patience = relay_limits.CLOSE_TIMEOUT if owed < before else patience - _PART_INTERVAL
    if cut:
        reset_at_close(sock)


def reset_at_close(sock: socket.socket) -> None:
    """Have the other side see that this is no end in order (socket(7), SO_LINGER). One that lacks some of
    what came would lose that, and sees the end.

    Raises:
        OSError: the other side has gone.
    """
    if not relay_limits.unacknowledged(sock.fileno()):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def check_system() -> None:
    """
    Raises:
        NotHere: no tunnel can be carried on this system: Windows, which has other ways to wait for bytes.
    """
    if not hasattr(select, "poll") or not hasattr(os, "readv"):
        raise NotHere(
            "hatchway opens no tunnels on Windows: use it in WSL (Windows Subsystem for Linux), or the AWS"
            " CLI's 'aws ec2-instance-connect'"
        )


def connection(sock: socket.socket) -> LocalEnd:
    """The near end of a TCP connection that somebody has made."""
    sock.setblocking(False)
    ports = None
    # What was reset meanwhile has no peer any more, and says so at the first read.
    with suppress(OSError):
        peer, own = sock.getpeername(), sock.getsockname()
        # What is no connection of TCP has no ports.
        if isinstance(peer, tuple) and (peer[0] == own[0] or ipaddress.ip_address(peer[0]).is_loopback):
            ports = (peer[1], own[1])
    return LocalEnd(sock.fileno(), sock.fileno(), input_waits=True, output_waits=True, ports=ports)


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
        raise InvalidOption(_NOT_OPEN) from error
    if is_opened(input_fd, os.O_WRONLY) or is_opened(output_fd, os.O_RDONLY):
        raise InvalidOption(_NOT_OPEN)
    pollable = [fd for fd, waits in ((input_fd, input_waits), (output_fd, output_waits)) if waits]
    blocked = [fd for fd in pollable if os.get_blocking(fd)]
    try:
        for fd in pollable:
            os.set_blocking(fd, False)
            _widen(fd)
        yield LocalEnd(
            input_fd,
            output_fd,
            input_waits=input_waits,
            output_waits=output_waits,
            output_blocks=output_fd in blocked,
        )
    finally:
        for fd in blocked:
            os.set_blocking(fd, True)


def is_opened(fd: int, mode: int) -> bool:
    """Whether a file was opened in this one of the three ways, such as `os.O_WRONLY`. Standard input to be
    written to, or output to be read, holds the number of one that was closed (`hatchway.cli.ending`)."""
    try:
        import fcntl
    except ModuleNotFoundError:
        # Windows has none.
        return False
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == mode


def _waits(fd: int) -> bool:
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _widen(fd: int) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:
        # Windows has none.
        return
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if set_size is not None:
        try:
            fcntl.fcntl(fd, set_size, PIPE_SIZE)
        except OSError:
            # Not a pipe, or more than this user may have: it works all the same.
            return
