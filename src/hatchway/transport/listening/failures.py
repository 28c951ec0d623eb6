"""Counts how often each source fails to authenticate, so that guessing keys costs the server little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST: Final = 20
"""Failures of one source within a window after which it is refused unexamined until the window ends."""

WINDOW: Final = 60.0
"""Seconds from a source's first failure."""

SOURCES: Final = 65_536
"""Sources that are remembered, those whose windows began last: about 10 MB."""


class FailureLimit:
    """Counts failures in windows of fixed length that begin with a source's first failure."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        most: int = MOST,
        window: float = WINDOW,
        sources: int = SOURCES,
    ) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._most = most
        self._window = window
        self._sources = sources
        # In the order in which the windows end.
        self._windows: dict[Hashable, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def reached(self, source: Hashable) -> bool:
        """Whether this source has failed too often to be examined now."""
        end, failures = self._windows.get(source, (0.0, 0))
        return failures >= self._most and self._clock() < end

    def failed(self, source: Hashable) -> None:
        """This source has failed once more."""
        now = self._clock()
        end, failures = self._windows.get(source, (0.0, 0))
        if now < end:
            self._windows[source] = (end, failures + 1)
            return
        self._windows.pop(source, None)
        if len(self._windows) >= self._sources:
            del self._windows[next(iter(self._windows))]
        self._windows[source] = (now + self._window, 1)
