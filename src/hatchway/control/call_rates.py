"""Rate limiting: how many calls each principal may make in a time, a token bucket for each kind of call.

A bucket holds as many tokens as calls may come at once, and gets new ones at a rate. So a caller that is busy
now and then notices nothing of it, and one that never stops gets its rate and leaves the rest to the others.
AWS's clients try again by themselves, ever later, until it goes on.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Final

from hatchway.control.concurrency import TooManyCalls

BURST_SECONDS: Final = 20
"""What a principal has not used of its rate it may use later: at most so many seconds' worth."""
MOST: Final = 10_000
"""Buckets that are kept; of more, those that were used longest ago are forgotten, and are full again."""


class Kind(StrEnum):
    READ = "read"
    WRITE = "write"


DEFAULT_RATES: Final[Mapping[Kind, float]] = {Kind.READ: 100.0, Kind.WRITE: 25.0}
"""Calls a second: a good part of what one process answers, and far more than tools and people need."""


MACHINE_RATES: Final[Mapping[Kind, float]] = {Kind.WRITE: 1.0}
"""Of one machine that joined, which asks once a minute and has some news at most when keys are rotated."""


class TooFast(TooManyCalls):
    """The principal has made more calls than its rate allows."""

    def __init__(self, kind: Kind, rate: float) -> None:
        super().__init__(
            f"You have made too many calls that {kind}: {rate:g} a second are answered, and"
            f" {rate * BURST_SECONDS:g} at once after a pause. Try again later, and more slowly."
        )


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class CallRates:
    """The buckets of one control plane. Thread-safe."""

    def __init__(self, rates: Mapping[Kind, float] = DEFAULT_RATES) -> None:
        """`rates` are calls a second; 0 is no bound."""
        self._rates = rates
        self._buckets: OrderedDict[tuple[str, Kind], _Bucket] = OrderedDict()
        self._lock = Lock()

    def spend(self, principal: str, kind: Kind, now: float) -> None:
        """Takes a token for one call; `now` in seconds, of a clock that never goes back.

        Raises:
            TooFast: there is none.
        """
        rate = self._rates[kind]
        if not rate:
            return
        most = max(1.0, rate * BURST_SECONDS)
        with self._lock:
            bucket = self._buckets.setdefault((principal, kind), _Bucket(most, now))
            self._buckets.move_to_end((principal, kind))
            if len(self._buckets) > MOST:
                self._buckets.popitem(last=False)
            bucket.tokens = min(most, bucket.tokens + rate * max(0.0, now - bucket.filled_at))
            bucket.filled_at = max(now, bucket.filled_at)
            if bucket.tokens < 1:
                raise TooFast(kind, rate)
            bucket.tokens -= 1
