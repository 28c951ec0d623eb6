"""Ending a read from a gateway that does not end by itself, once a signal has come or its time is over.

OpenSSL reads on within one call until there is data, through key updates without end (RFC 8446 section
4.6.3), and Python runs nothing of the same thread meanwhile. To give OpenSSL less at once would take a fifth
of what a tunnel carries, so another thread looks at it, which sleeps until there is a signal.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from hatchway.client.tunnel import relay_limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.client.tunnel.signals import DeferredSignals

_LOOK_INTERVAL: Final = 0.1
_LOOKS: Final = 10
"""Seconds between two looks at a read, and how many have to find the same one. Where there is data, or
nothing, it takes microseconds."""


class ReadWatchdog:
    """Those from one gateway.

    Attributes:
        count: goes up when one begins and when it has ended, so it is odd amid one.
        owed: bytes that the gateway had not acknowledged when a read was ended.
    """

    def __init__(self) -> None:
        self.count = 0
        self.owed = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Within it there is one. What reads again and again counts by itself: this takes longer."""
        self.count += 1
        try:
            yield
        finally:
            self.count += 1


@contextmanager
def watched_reads(
    sock: socket.socket, signals: DeferredSignals, until: float | None = None
) -> Iterator[ReadWatchdog]:
    """Within it a read of `sock` that goes on and on after a signal finds that the connection has ended. What
    was written is lost with it, as far as the gateway had not taken it.

    Args:
        until: when it is ended without a signal too (`time.monotonic`); None for never.
    """
    reads = ReadWatchdog()
    wakes = [each for each in (signals.wakes, signals.heard) if each is not None]
    if not wakes and until is None:
        yield reads
        return
    over, ends = os.pipe()
    watch = threading.Thread(target=_watch, args=(sock.fileno(), wakes, until, over, reads), daemon=True)
    watch.start()
    try:
        yield reads
    finally:
        os.write(ends, b"\0")
        watch.join()
        os.close(over)
        os.close(ends)


def _watch(descriptor: int, wakes: list[int], until: float | None, over: int, reads: ReadWatchdog) -> None:
    is_over, either = select.poll(), select.poll()
    is_over.register(over, select.POLLIN)
    # The relay may hear of a signal first, and read later.
    for each in (over, *wakes):
        either.register(each, select.POLLIN)
    either.poll(None if until is None else max(0.0, until - time.monotonic()) * 1000)
    before, looks = 0, 0
    while not is_over.poll(_LOOK_INTERVAL * 1000):
        count = reads.count
        looks = looks + 1 if count == before and count % 2 else 0
        before = count
        if looks == _LOOKS:
            reads.owed = relay_limits.unacknowledged(descriptor)
            _end(descriptor)
            return


def _end(descriptor: int) -> None:
    """Put a connection in its place that has ended. To close it would make the number another's; shut down,
    it would still give what the kernel holds, seconds of it."""
    try:
        ended, other = socket.socketpair()
    except OSError:
        # There are no descriptors left.
        sock = socket.socket(fileno=descriptor)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.detach()
        return
    other.close()
    with ended:
        os.dup2(ended.fileno(), descriptor, inheritable=False)
