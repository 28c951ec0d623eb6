"""How often each source has failed to authenticate, so that guessing at keys costs the gateway little."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 20
"""Failures of one source within a window; after that it is not heard until the window ends."""

WINDOW: Final = 60.0
"""Seconds from a source's first failure."""

SOURCES: Final = 65_536
"""Sources that are remembered, the latest to begin: some 10 MB."""

_IPV6_SITE: Final = 64
"""Bits of an IPv6 address that tell sources apart: one who has an address has the /64 that it is in."""


class FailureLimit:
    """Counts failures in windows of fixed length, one beginning with a source's first."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        most: int = MOST,
        window: float = WINDOW,
        sources: int = SOURCES,
    ) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._most = most
        self._window = window
        self._sources = sources
        # In the order in which windows end.
        self._windows: dict[str, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._windows)

    def reached(self, source_ip: str) -> bool:
        """Whether this address is not to be heard now."""
        end, failures = self._windows.get(_source(source_ip), (0.0, 0))
        return failures >= self._most and self._clock() < end

    def failed(self, source_ip: str) -> None:
        """This address has failed once more."""
        source, now = _source(source_ip), self._clock()
        end, failures = self._windows.get(source, (0.0, 0))
        if now < end:
            self._windows[source] = (end, failures + 1)
            return
        self._windows.pop(source, None)
        if len(self._windows) >= self._sources:
            del self._windows[next(iter(self._windows))]
        self._windows[source] = (now + self._window, 1)


def _source(address: str) -> str:
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, _IPV6_SITE), strict=False))
