"""The ids that a worker assigns: to tunnels, and to the requests and events of the audit trail."""

from __future__ import annotations

import time
from os import urandom
from typing import TYPE_CHECKING, Final

from hatchway.domain.ids import uuid_beginning, uuid_ends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_POOL: Final = 4096
"""Random bytes requested at once: the kernel returns many for little more than ten cost."""


class IdGenerator:
    """Generates ids. They are unique but not secret. For one thread."""

    def __init__(
        self, random_bytes: Callable[[int], bytes] = urandom, nanoseconds: Callable[[], int] = time.time_ns
    ) -> None:
        """`nanoseconds` are since 1970."""
        self._random_bytes = random_bytes
        self._nanoseconds = nanoseconds
        self._ends: Iterator[str] = iter(())
        self._tunnels: Iterator[str] = iter(())

    def event(self) -> str:
        """The id of an event or a request."""
        end = next(self._ends, "")
        if not end:
            self._ends = iter(uuid_ends(self._random_bytes(_POOL // 10 * 10).hex()))
            end = next(self._ends)
        # In order of time: with random ids each audit record would change two more pages of the store.
        return uuid_beginning(self._nanoseconds() // 1_000_000) + end

    def tunnel(self) -> str:
        id_ = next(self._tunnels, "")
        if not id_:
            pool = self._random_bytes(_POOL).hex()
            self._tunnels = iter([f"tun-{pool[at : at + 17]}" for at in range(0, len(pool) - 17, 18)])
            id_ = next(self._tunnels)
        return id_
