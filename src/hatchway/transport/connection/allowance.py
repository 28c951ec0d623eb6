"""Rate limits of CPU time: what one client may cost beyond the bytes that it carries. Pure.

Large frames are paid for by their bytes. Small frames and small TLS records cost one or several microseconds
each, whatever they carry. So each client has an allowance for them, a token bucket of microseconds, and all
clients of a worker share another one for those that need it: one stream of small messages may use most of
what six may use. A client that has used up both is not read for a while, and back pressure does the rest.
Frames that can carry nothing at all, such as pings, have an allowance of their own, and a client that exceeds
it is disconnected.
"""

from __future__ import annotations

from typing import Final

RATE: Final = 5_000.0
"""Approximate microseconds a second that a client's small frames and records may cost, whatever others do."""

BURST: Final = 10_000.0
"""The size of that bucket, in microseconds."""

SHARED_RATE: Final = 60_000.0
"""Microseconds a second that all clients together may cost beyond that. Six at once get at most 90,000."""

SHARED_BURST: Final = 10_000.0
"""The size of that bucket, in microseconds."""

SHORTEST_PAUSE: Final = 0.01
"""The least number of seconds for which a client that has used up its allowance is not read. What it sends
accumulates."""

WASTE_RATE: Final = 50.0
"""Pings, pongs, empty fragments and TLS records without data a second, all together."""

WASTE_BURST: Final = 2_000.0
"""The size of that bucket."""

FREE: Final = 16
"""Microseconds in one turn that are not counted: an ordinary session sends a few small frames at a time."""

FRAME: Final = 1
CONTROL_FRAME: Final = 10
SMALL_RECORD: Final = 2
EMPTY_RECORD: Final = 40
"""The cost of each, in microseconds; the last is a TLS record without data, such as a key update."""

_PAID_BY_BYTES: Final = 256
"""Bytes that pay for a microsecond."""

_FORGIVEN_BY_BYTES: Final = 4096
"""Bytes that make up for a ping."""


class SharedAllowance:
    """The bucket that all clients of a worker share, for when their own are empty."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        """`now`, here and below, is in monotonic seconds."""
        self._left = SHARED_BURST
        self._at = now

    def take(self, wanted: float, now: float) -> float:
        """Take so many microseconds, or as many as there are. Returns how many were taken."""
        self._left = min(SHARED_BURST, self._left + (now - self._at) * SHARED_RATE)
        self._at = now
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


class Allowance:
    """The buckets of one client."""

    __slots__ = ("_at", "_left", "_shared", "_waste_at", "_waste_left")

    def __init__(self, now: float, shared: SharedAllowance) -> None:
        """`shared` is the worker's."""
        self._shared = shared
        self._left = BURST
        self._at = now
        self._waste_left = WASTE_BURST
        self._waste_at = now

    def spend(self, cost: int, carried: int, now: float) -> float:
        """Pay for something that cost so many microseconds and carried so many bytes.

        Returns:
            Seconds for which the client must not be read.
        """
        due = cost - carried / _PAID_BY_BYTES
        if due <= 0:
            return 0.0
        self._left = min(BURST, self._left + (now - self._at) * RATE) - due
        self._at = now
        if self._left < 0:
            self._left += self._shared.take(-self._left, now)
        return 0.0 if self._left >= 0 else max(SHORTEST_PAUSE, -self._left / RATE)

    def waste(self, count: int, carried: int, now: float) -> bool:
        """Count so many frames or records that can carry nothing. Returns whether there are too many by
        now."""
        due = count - carried / _FORGIVEN_BY_BYTES
        if due <= 0:
            return False
        self._waste_left = min(WASTE_BURST, self._waste_left + (now - self._waste_at) * WASTE_RATE) - due
        self._waste_at = now
        return self._waste_left < 0
