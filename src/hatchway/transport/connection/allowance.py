"""What one client may cost beyond the bytes that it carries.

A large frame is paid for by its bytes. Small ones, and small TLS records, cost a microsecond or several each,
whatever they carry. So each client has an allowance for them, which grows with time, and all clients of a
worker together have one more, for those who need it: one stream of small messages may take most of what six
may. Who has used up both is not read for a while, and back pressure does the rest. What can carry nothing at
all has an allowance of its own, and who exceeds that is let go. Pure.
"""

from __future__ import annotations

from typing import Final

RATE: Final = 5_000.0
"""Microseconds a second, about, that a client's small frames and records may cost, whatever others do."""

BURST: Final = 10_000.0
"""Of the same, those that may be saved up."""

COMMON_RATE: Final = 60_000.0
"""What all clients together may cost beyond that. Six at once get no more than 90,000."""

COMMON_BURST: Final = 10_000.0
"""Of the same, those that may be saved up."""

SHORTEST_PAUSE: Final = 0.01
"""Seconds at least for which a client is not read that has used up its allowance. What comes meanwhile
gathers."""

WASTE_RATE: Final = 50.0
"""Pings, pongs, empty fragments and TLS records without data a second, all together."""

WASTE_BURST: Final = 2_000.0
"""Of the same, those that may be saved up."""

FREE: Final = 16
"""Microseconds in one turn that are not counted: an ordinary session sends a few small frames at a time."""

FRAME: Final = 1
CONTROL_FRAME: Final = 10
SMALL_RECORD: Final = 2
BARREN_RECORD: Final = 40
"""What each costs, in microseconds; the last is a TLS record without data, as a key update."""

_PAID_BY_BYTES: Final = 256
"""Bytes that pay for a microsecond."""

_FORGIVEN_BY_BYTES: Final = 4096
"""Bytes that make up for a ping."""


class Common:
    """What all clients of a worker together may use when their own allowances are used up."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        """`now`, here and below, is in seconds that never go back."""
        self._left = COMMON_BURST
        self._at = now

    def take(self, wanted: float, now: float) -> float:
        """Take so many microseconds, or those that there are; how many."""
        self._left = min(COMMON_BURST, self._left + (now - self._at) * COMMON_RATE)
        self._at = now
        taken = min(wanted, self._left)
        self._left -= taken
        return taken


class Allowance:
    """What one client has not used of its own yet."""

    __slots__ = ("_at", "_common", "_left", "_waste_at", "_waste_left")

    def __init__(self, now: float, common: Common) -> None:
        """`common` is its worker's."""
        self._common = common
        self._left = BURST
        self._at = now
        self._waste_left = WASTE_BURST
        self._waste_at = now

    def spend(self, cost: int, carried: int, now: float) -> float:
        """Use it for what cost so many microseconds and carried so many bytes.

        Returns:
            Seconds for which the client is not to be read.
        """
        due = cost - carried / _PAID_BY_BYTES
        if due <= 0:
            return 0.0
        self._left = min(BURST, self._left + (now - self._at) * RATE) - due
        self._at = now
        if self._left < 0:
            self._left += self._common.take(-self._left, now)
        return 0.0 if self._left >= 0 else max(SHORTEST_PAUSE, -self._left / RATE)

    def waste(self, count: int, carried: int, now: float) -> bool:
        """Use it for so many frames or records that can carry nothing; whether there are too many by now."""
        due = count - carried / _FORGIVEN_BY_BYTES
        if due <= 0:
            return False
        self._waste_left = min(WASTE_BURST, self._waste_left + (now - self._waste_at) * WASTE_RATE) - due
        self._waste_at = now
        return self._waste_left < 0
