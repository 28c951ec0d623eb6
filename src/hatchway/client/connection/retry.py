"""Retrying while a server is just being restarted, and refuses connections meanwhile."""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

RETRY_SECONDS: Final = 5.0
"""Seconds for which a server that refuses connections is tried again."""

_PAUSES: Final = (0.1, 0.2, 0.4, 0.8)
"""Seconds between one attempt and the next; the last for all that follow."""


class RetryBudget:
    """The time that a command has to retry in, for all the servers that it asks: they restart together.

    Args:
        tell: is told, once, what is waited for.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._until: float | None = None
        self._tried = 0

    def is_left(self, problem: str) -> bool:
        """Whether to try once more, after a pause that has been made then.

        Args:
            problem: what the attempt failed of.
        """
        now = time.monotonic()
        if self._until is None:
            self._until = now + RETRY_SECONDS
            if RETRY_SECONDS:
                self._tell(f"{problem}: trying again for {RETRY_SECONDS:.0f} seconds")
        if now >= self._until:
            return False
        time.sleep(min(_PAUSES[min(self._tried, len(_PAUSES) - 1)], self._until - now))
        self._tried += 1
        return True


def as_while_restarting(error: Exception) -> bool:
    """Whether it is what a connection fails of whose server is stopping, or has not started yet: refused,
    reset, or ended before anything was said. One that nobody answers, or a name that nobody knows, is not."""
    return isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError))
