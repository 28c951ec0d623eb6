"""Load shedding: connections that are reset before TLS, counted by reason, and logged from time to time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCE_WASTES: Final = "source_wastes"
"""Too many connections of the same source led to nothing or are under way."""

NO_TURN: Final = "no_turn"
"""Too many came from unknown sources: the accept queue was full, or this one waited in it for too long."""

TOO_MANY_PENDING: Final = "too_many_pending"
"""Too many connections have not sent their request yet."""

BAD_PROXY_HEADER: Final = "bad_proxy_header"
"""It came from a load balancer's address without a valid header that names its client."""

REASONS: Final = (SOURCE_WASTES, NO_TURN, TOO_MANY_PENDING, BAD_PROXY_HEADER)

LOG_INTERVAL: Final = 10.0
"""Seconds between two log lines with the same reason."""

log = structlog.get_logger("hatchway.transport")


class LoadShedding:
    """The connections that one worker has reset."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._counts = dict.fromkeys(REASONS, 0)
        self._logged: dict[str, tuple[float, int]] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """How many, by reason."""
        return self._counts

    def add(self, reason: str, address: str, **more: str) -> None:
        """Count one more, from this address; `more` goes into the log."""
        self._counts[reason] += 1
        at, count = self._logged.get(reason, (0.0, 0))
        now = self._clock()
        if count and now < at + LOG_INTERVAL:
            return
        self._logged[reason] = now, self._counts[reason]
        log.warning(
            "connections turned away",
            reason=reason,
            connections=self._counts[reason] - count,
            latest_source_ip=address,
            **more,
        )
