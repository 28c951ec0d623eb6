"""The ids of what a worker begins: tunnels, and the requests and events of the audit trail."""

from __future__ import annotations

import time
from os import urandom
from typing import TYPE_CHECKING, Final

from hatchway.domain.ids import time_ordered_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

_POOL: Final = 4096
"""Random bytes asked for at once: the kernel gives many for little more than what ten cost."""


class NewIds:
    """Makes them. They are unique, and no secrets. For one thread."""

    def __init__(
        self, random_bytes: Callable[[int], bytes] = urandom, nanoseconds: Callable[[], int] = time.time_ns
    ) -> None:
        """`nanoseconds` are since 1970."""
        self._random_bytes = random_bytes
        self._nanoseconds = nanoseconds
        # Hexadecimal digits.
        self._pool = ""
        self._used = 0

    def event(self) -> str:
        """The id of an event or a request."""
        # In order of time: random ones would have each audit record change two more pages of the store.
        return time_ordered_uuid(self._nanoseconds() // 1_000_000, self._take(20))

    def tunnel(self) -> str:
        return f"tun-{self._take(18)[:17]}"

    def _take(self, digits: int) -> str:
        first, after = self._used, self._used + digits
        if after > len(self._pool):
            self._pool, first, after = self._random_bytes(_POOL).hex(), 0, digits
        self._used = after
        return self._pool[first:after]
