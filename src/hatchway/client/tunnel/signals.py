"""Signals that end a tunnel in order: by a Close, so that neither side takes the other for lost."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGHUP", "SIGTERM")
    if sys.platform != "win32" and hasattr(signal, name)
)
"""None on Windows, where no tunnel is carried. ssh ends its ProxyCommand by SIGHUP."""


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Within it a signal cancels the current task; a second one, of whatever kind, cancels every task.

    Of a signal that comes while the event loop goes to sleep, or to another thread, a handler of Python's
    alone would hear only when something else happens; the event loop is woken.

    Raises:
        KeyboardInterrupt, SystemExit: as `end_of`, in the cancellation's stead.
    """
    import asyncio

    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def end(number: int) -> None:
        caught.append(number)
        for each in [task] if len(caught) == 1 else asyncio.all_tasks(loop):
            each.cancel()

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    # Under nohup SIGHUP stays ignored.
    taken = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    for number in taken:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if caught:
            raise end_of(caught[0]) from None
        raise
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def end_of(number: int) -> BaseException:
    """What a program ends with that a signal ends: SIGINT's is KeyboardInterrupt, any other's SystemExit of
    128 and its number."""
    return KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)


class DeferredSignals:
    """Both are None where none is noticed.

    Attributes:
        wakes: is readable when a signal came, until `numbers` has told of it.
        heard: is readable from then on.
    """

    def __init__(
        self, wakes: int | None = None, heard: tuple[int, int] | None = None, taken: Collection[int] = ()
    ) -> None:
        """`heard` are the two ends of a pipe."""
        self.wakes = wakes
        self.heard = None if heard is None else heard[0]
        self._tells = None if heard is None else heard[1]
        self._taken = taken
        self._numbers: list[int] = []

    @property
    def numbers(self) -> list[int]:
        """Those that came, in their order: each that the kernel told of. A handler of Python's is called once
        for several."""
        if self.wakes is not None:
            with suppress(BlockingIOError):
                self._numbers += [number for number in os.read(self.wakes, 64) if number in self._taken]
                if self._numbers and self._tells is not None:
                    os.write(self._tells, b"\0")
                    self._tells = None
        return self._numbers

    @property
    def again(self) -> bool:
        """Whether a second one came: whoever sent it does not want to wait."""
        return len(self.numbers) > 1

    def raise_again(self) -> None:
        """
        Raises:
            KeyboardInterrupt, SystemExit: as `end_of`, when one came.
        """
        if self.numbers:
            raise end_of(self.numbers[0])


@contextmanager
def deferring_signals() -> Iterator[DeferredSignals]:
    """Within it a signal that would end the process is noticed, and does nothing else."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = [number for number in before if before[number] is not signal.SIG_IGN]
    with waking_on_signals(taken) as signals:
        if signals.wakes is None:
            yield signals
            return
        for number in taken:
            signal.signal(number, lambda _number, _frame: None)
        try:
            yield signals
        finally:
            for number in taken:
                signal.signal(number, before[number])


@contextmanager
def waking_on_signals(taken: Collection[int] = ()) -> Iterator[DeferredSignals]:
    """Within it a signal that Python has a handler for, as it has for SIGINT, also wakes whoever waits for
    it, whatever the main thread does; `taken` are those that are noticed."""
    (wakes, woken), heard = os.pipe(), os.pipe()
    try:
        for end in (wakes, woken):
            os.set_blocking(end, False)
        try:
            before = signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        except ValueError:
            # Only the main thread is told of signals.
            yield DeferredSignals()
            return
        try:
            yield DeferredSignals(wakes, heard, taken)
        finally:
            signal.set_wakeup_fd(before)
    finally:
        for end in (wakes, woken, *heard):
            os.close(end)
