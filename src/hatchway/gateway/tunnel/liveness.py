"""Watches idle tunnels: sends pings, drops dead peers and enforces the idle limit.

It records nothing per frame except what is counted anyway: it checks all tunnels from time to time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.gateway.tunnel.closures import idle_limit_reached

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatchway.gateway.tunnel.registry import Registry
    from hatchway.gateway.tunnel.relay import Relay

INTERVAL: Final = 5.0
"""Seconds between two checks."""

PING_AFTER: Final = 20.0
"""Seconds without a byte after which the client is pinged. A ping keeps address translators and load
balancers from forgetting the connection, and makes the client's kernel acknowledge something."""

DEAD_AFTER: Final = 45.0
"""Seconds for which a client's kernel has left everything unanswered before the client counts as dead. A
client that dies while idle is noticed within 60 s, because it does not answer the pings."""

_AT_ONCE: Final = 50
"""Tunnels checked before other work gets its turn."""

log = structlog.get_logger("hatchway.gateway")


@dataclass(slots=True)
class _Seen:
    """A tunnel at its last check: its count of bytes, when that last changed, and when it was last pinged."""

    carried: int
    since: float
    pinged: float


class LivenessCheck:
    """Watches the tunnels of one worker."""

    def __init__(
        self,
        tunnels: Registry,
        clock: Callable[[], float],
        *,
        idle_limit: int | None,
        interval: float = INTERVAL,
        ping_after: float = PING_AFTER,
        dead_after: float = DEAD_AFTER,
    ) -> None:
        """`idle_limit`: seconds without a byte after which a tunnel is closed; None for never."""
        self._tunnels = tunnels
        self._clock = clock
        self._idle_limit = idle_limit
        self._interval = interval if idle_limit is None else min(interval, idle_limit / 4)
        self._ping_after = ping_after
        self._dead_after = dead_after
        self._seen: dict[str, _Seen] = {}

    async def run(self) -> None:
        """Check again and again."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Check every tunnel once."""
        seen = self._seen
        self._seen = {}
        for number, (admitted, relay) in enumerate(self._tunnels):
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            if relay.closure is None:
                before = seen.get(admitted.tunnel_id)
                self._seen[admitted.tunnel_id] = self._look_at(admitted.tunnel_id, relay, before)

    def _look_at(self, tunnel_id: str, relay: Relay, before: _Seen | None) -> _Seen:
        now = self._clock()
        carried = relay.bytes_in + relay.bytes_out
        seen = before if before is not None and before.carried == carried else _Seen(carried, now, now)
        if relay.unanswered >= self._dead_after:
            log.info("client is dead", tunnel_id=tunnel_id)
            relay.client_died()
        elif self._idle_limit is not None and now - seen.since >= self._idle_limit:
            relay.cut(idle_limit_reached(self._idle_limit))
        elif now - seen.pinged >= self._ping_after:
            relay.ping()
            seen.pinged = now
        return seen
