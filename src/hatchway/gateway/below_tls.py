"""Between a TCP connection and uvloop's TLS.

TLS would buffer on its own in both directions: as much as it reads at once, and all that it has encrypted
while the kernel takes nothing. Here it gets its bytes in portions and is never told that the kernel is full,
so that what it encrypts goes straight to TCP; the tunnel is told instead.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

PORTION: Final = 112 * 1024
"""Bytes read from a client at once, still encrypted."""

WRITE_HIGH_WATER: Final = 64 * 1024
"""Bytes that the kernel has not taken, above which nothing more should be written."""


class Writer(Protocol):
    """Who writes to the connection, by way of TLS."""

    def kernel_full(self) -> None:
        """More than `WRITE_HIGH_WATER` bytes wait for the kernel."""

    def kernel_ready(self) -> None:
        """Most of them have gone."""


class BelowTls(asyncio.BaseProtocol):
    """The protocol of the TCP connection; `tls` is uvloop's, and has been told that it is connected to it."""

    __slots__ = ("_lost", "_tls_buffer", "_writer", "buffer_updated", "eof_received")

    def __init__(self, tcp: asyncio.Transport, tls: Any, writer: Writer) -> None:
        self._tls_buffer: Callable[[int], memoryview] = tls.get_buffer
        self._writer = writer
        self.buffer_updated: Callable[[int], None] = tls.buffer_updated
        self.eof_received: Callable[[], None] = tls.eof_received
        self._lost: Callable[[Exception | None], None] = tls.connection_lost
        tcp.set_write_buffer_limits(WRITE_HIGH_WATER, WRITE_HIGH_WATER // 4)
        tcp.set_protocol(self)

    def get_buffer(self, _size_hint: int) -> memoryview:
        return self._tls_buffer(PORTION)[:PORTION]

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)

    def pause_writing(self) -> None:
        self._writer.kernel_full()

    def resume_writing(self) -> None:
        self._writer.kernel_ready()
