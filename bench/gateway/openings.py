"""Many tunnels opened and closed at once, from one event loop."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.gateway.tunnel import CLOSE_FRAME, CONTEXT, check_upgraded

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from bench.gateway.tunnel import Side

_IN, _OUT = select.EPOLLIN, select.EPOLLOUT
_GREETING = 3
"""Bytes of a frame that holds the greeting."""
_RESET = struct.pack("ii", 1, 0)
_STUCK = 30.0


@dataclass
class Openings:
    """What came of it: seconds from connect to the target's greeting for each, and seconds for all."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.latencies)


def open_and_close(side: Side, requests: Iterable[bytes | None], *, at_once: int) -> Openings:
    """Open a tunnel for each request, wait for the target's greeting, close it and wait for the end."""
    return _drive(side, iter(requests), at_once, keep=None)


def open_and_keep(side: Side, count: int, *, at_once: int) -> list[socket.socket]:
    """Open so many tunnels and leave them."""
    kept: list[socket.socket] = []
    _drive(side, iter([side.request()] * count), at_once, keep=kept)
    return kept


def _drive(
    side: Side, requests: Iterator[bytes | None], at_once: int, keep: list[socket.socket] | None
) -> Openings:
    result = Openings()
    poll = select.epoll()
    under_way: dict[int, tuple[Generator[int, None, None], socket.socket]] = {}

    def begin() -> bool:
        for request in requests:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            steps = _steps(sock, side, request, keep is None, result)
            under_way[sock.fileno()] = (steps, sock)
            poll.register(sock, next(steps))
            return True
        return False

    start = time.perf_counter()
    while len(under_way) < at_once and begin():
        pass
    while under_way:
        events = poll.poll(_STUCK)
        if not events:
            raise TimeoutError(f"{len(under_way)} openings are stuck")
        for descriptor, _ in events:
            steps, sock = under_way[descriptor]
            try:
                poll.modify(descriptor, next(steps))
            except StopIteration:
                del under_way[descriptor]
                poll.unregister(descriptor)
                if keep is None:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    sock.close()
                else:
                    keep.append(sock)
                begin()
    result.seconds = time.perf_counter() - start
    poll.close()
    return result


def _steps(
    sock: socket.socket, side: Side, request: bytes | None, close: bool, result: Openings
) -> Generator[int, None, None]:
    """One opening. Yields what it waits for."""
    start = time.perf_counter()
    sock.connect_ex(side.address)
    yield _OUT
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = CONTEXT.wrap_bio(incoming, outgoing)

    def flush() -> None:
        if outgoing.pending:
            sock.send(outgoing.read())

    def take() -> bool:
        """Whether the connection goes on."""
        try:
            data = sock.recv(1 << 16)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            data = b""
        if data:
            incoming.write(data)
        return bool(data)

    def more() -> bytes | None:
        """What has come, None when that is not a whole record."""
        try:
            return tls.read(1 << 16)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            flush()
            yield _IN
            if not take():
                raise ConnectionError("hung up within TLS") from None
    raw = b""
    if request is not None:
        tls.write(request)
    flush()
    wanted = 1 if request is None else _GREETING
    upgraded = request is None
    while len(raw) < wanted or not upgraded:
        data = more()
        if data is None:
            yield _IN
            if not take():
                raise ConnectionError("hung up before the target greeted")
            continue
        raw += data
        if not data:
            raise ConnectionError("closed before the target greeted")
        if not upgraded and b"\r\n\r\n" in raw:
            head, _, raw = raw.partition(b"\r\n\r\n")
            check_upgraded(head)
            upgraded = True
    if request is not None and raw[0] & 0x0F != 2:
        raise ConnectionError(f"closed instead of greeted: {raw!r}")
    result.latencies.append(time.perf_counter() - start)
    if not close:
        return
    if request is not None:
        tls.write(CLOSE_FRAME)
    else:
        with suppress(ssl.SSLError):
            tls.unwrap()
    flush()
    # As clients do, hang up once the proxy has taken its leave.
    while (data := more()) != b"":
        if data is None:
            yield _IN
            if not take():
                return
