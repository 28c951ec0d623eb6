"""Signals that end a tunnel in order: by a Close, so that neither side takes the other for lost."""

from __future__ import annotations

import os
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
    import asyncio

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


class Noticed:
    """The `numbers` of signals that came. `wakes` is readable when one did, None where none is noticed."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.wakes: int | None = None

    @property
    def again(self) -> bool:
        """Whether a second one came: whoever sent it does not want to wait."""
        return len(self.numbers) > 1

    def raise_again(self) -> None:
        """
        Raises:
            KeyboardInterrupt: SIGINT came.
            SystemExit: another one came; of 128 and its number.
        """
        if self.numbers and self.numbers[0] == signal.SIGINT:
            raise KeyboardInterrupt
        if self.numbers:
            raise SystemExit(128 + self.numbers[0])


@contextmanager
def noticed() -> Iterator[Noticed]:
    """Within it a signal that would end the process is noticed, and does nothing else."""
    signals = Noticed()
    before = {number: signal.getsignal(number) for number in (*_SIGNALS, signal.SIGINT)}
    taken = [number for number in before if before[number] is not signal.SIG_IGN]
    wakes, woken = os.pipe()
    try:
        for end in (wakes, woken):
            os.set_blocking(end, False)
        try:
            wakeup = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        except ValueError:
            # Only the main thread is told of signals.
            yield signals
            return
        signals.wakes = wakes
        for number in taken:
            signal.signal(number, lambda number, _frame: signals.numbers.append(number))
        try:
            yield signals
        finally:
            for number in taken:
                signal.signal(number, before[number])
            signal.set_wakeup_fd(wakeup)
    finally:
        os.close(wakes)
        os.close(woken)
