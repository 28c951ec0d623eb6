"""Leaky buckets: what somebody has used lately of something of which everybody has a share. Pure."""

from __future__ import annotations


class LeakyBuckets:
    """A leaky bucket for each of at most so many keys, such as principals. Not thread-safe.

    Attributes:
        levels: how full each bucket was, and when, in seconds. The key that was added to last comes last.
    """

    __slots__ = ("_max_keys", "_rate", "levels")

    def __init__(self, rate: float, max_keys: int) -> None:
        """Args:
        rate: how much leaks from each bucket in a second.
        max_keys: how many keys have a bucket; beyond that, the bucket is forgotten that was added to
            first."""
        self._rate = rate
        self._max_keys = max_keys
        self.levels: dict[str, tuple[float, float]] = {}

    def level(self, key: str, now: float) -> float:
        """How full a bucket is. `now`, here and below, is in seconds of a clock that never goes back."""
        found = self.levels.get(key)
        if found is None:
            return 0.0
        level, at = found
        left = max(0.0, level - (now - at) * self._rate)
        if not left:
            del self.levels[key]
        return left

    def add(self, key: str, amount: float, now: float) -> float:
        """Add to a bucket. Returns how full it is now."""
        level = self.level(key, now) + amount
        self.levels.pop(key, None)
        self.levels[key] = level, now
        if len(self.levels) > self._max_keys:
            del self.levels[next(iter(self.levels))]
        return level
