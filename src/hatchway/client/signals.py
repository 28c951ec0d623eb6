"""Signals that end a tunnel in order: by a Close, so that neither side takes the other for lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGTERM")
    if sys.platform != "win32" and hasattr(signal, name)
)
"""None on Windows, where the event loop takes none. ssh ends its ProxyCommand by SIGHUP. SIGINT cancels the
main task anyway (`asyncio.Runner`)."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within it a signal cancels the current task, a second one too.

    Raises:
        SystemExit: of 128 and the signal's number, in the cancellation's stead.
    """
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def end(number: int) -> None:
        caught.append(number)
        task.cancel()

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # Under nohup SIGHUP stays ignored.
    taken = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    for number in taken:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if caught:
            raise SystemExit(128 + caught[0]) from None
        raise
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
