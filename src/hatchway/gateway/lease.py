"""A worker's claim to be alive: while its lease runs, its tunnels count."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.domain.tunnel import GatewayWorker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hatchway.audit.group_commit import GroupCommit

DURATION: Final = timedelta(seconds=20)
RENEWAL: Final = 5.0
"""Seconds between two renewals."""

log = structlog.get_logger("hatchway.gateway")


class Lease:
    """One worker's row in the store."""

    def __init__(
        self,
        commits: GroupCommit,
        clock: Callable[[], datetime],
        *,
        worker_id: str,
        host: str,
        port: int,
    ) -> None:
        self._commits = commits
        self._clock = clock
        now = clock()
        self._worker = GatewayWorker(id=worker_id, host=host, port=port, started_at=now, lease_until=now)

    async def renew(self) -> None:
        """Claim to be alive for `DURATION` from now."""
        worker = replace(self._worker, lease_until=self._clock() + DURATION)
        await asyncio.wrap_future(self._commits.submit(lambda tx: tx.gateway_workers.put(worker)))

    async def keep(self) -> None:
        """Renew again and again."""
        while True:
            await asyncio.sleep(RENEWAL)
            try:
                await self.renew()
            except Exception:
                log.exception("lease not renewed", worker_id=self._worker.id)

    async def give_up(self) -> None:
        """The worker ends, and none of its tunnels is left."""
        await asyncio.wrap_future(self._commits.submit(lambda tx: tx.gateway_workers.delete(self._worker.id)))
