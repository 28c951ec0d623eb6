"""Back pressure and departure: what both sides of a tunnel need to know of a TCP connection."""

from __future__ import annotations

from enum import IntFlag
from fcntl import ioctl
from socket import IPPROTO_TCP, SO_LINGER, SOL_SOCKET, TCP_INFO
from struct import Struct, pack, unpack
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio


_INFO: Final = Struct("=2xBB48xII")
"""Of struct tcp_info (linux/tcp.h): retransmissions and window probes since the last answer, milliseconds
since data and since an acknowledgement came."""


class Hold(IntFlag):
    """A reason not to read from a connection."""

    NOTHING = 0
    UNDELIVERED = 1
    CONNECTING = 2
    BACKLOG = 4


class Valve:
    """Reads from a transport while nothing holds it shut."""

    __slots__ = ("_holds", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._holds = Hold.NOTHING

    def shut_for(self, reasons: Hold) -> bool:
        """Whether any of these reasons holds it shut."""
        return bool(self._holds & reasons)

    def hold(self, reason: Hold) -> None:
        if not self._holds:
            self._transport.pause_reading()
        self._holds |= reason

    def release(self, reason: Hold) -> None:
        if self._holds:
            self._holds &= ~reason
            if not self._holds:
                self._transport.resume_reading()


def unsent_bytes(*transports: asyncio.Transport) -> int:
    """Bytes handed to stacked transports, the lowest one last, that the peer has not yet acknowledged."""
    waiting = sum(transport.get_write_buffer_size() for transport in transports)
    descriptor = transports[-1].get_extra_info("socket").fileno()
    if descriptor < 0:
        return waiting
    return waiting + int(unpack("i", ioctl(descriptor, TIOCOUTQ, bytes(4)))[0])


def unanswered(transport: asyncio.Transport) -> float:
    """Seconds for which the peer's kernel has left everything unanswered; 0 while it need not answer.

    A kernel acknowledges data that its program does not read, and probes of a window that is full, so a peer
    that merely stalls is not silent. Source: tcp(7), TCP_INFO.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return 0.0
    info = sock.getsockopt(IPPROTO_TCP, TCP_INFO, _INFO.size)
    retransmits, probes, data_received, ack_received = _INFO.unpack(info)
    # An answer sets both counts to 0. The next probe is on its way for up to two minutes.
    if not retransmits and probes < 2:
        return 0.0
    return int(min(data_received, ack_received)) / 1000


def reset(transport: asyncio.Transport) -> None:
    """Drop a connection with all that is unsent, the kernel's share too, which it would keep for minutes."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
    transport.abort()
