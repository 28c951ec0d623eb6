"""Reports to the store, every few seconds, how many bytes each tunnel has carried."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.store import log_fields

if TYPE_CHECKING:
    from hatchway.audit.group_commit import GroupCommit
    from hatchway.gateway.tunnel.registry import Registry

INTERVAL: Final = 5.0
"""Seconds between two reports."""

log = structlog.get_logger("hatchway.gateway")


class ByteCountReports:
    """The reports of one worker: each covers the tunnels that have carried something since the last one."""

    def __init__(self, commits: GroupCommit, registry: Registry) -> None:
        self._commits = commits
        self._registry = registry
        self._reported: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        """Report again and again."""
        failing = False
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.report_once()
                failing = False
            except Exception as problem:
                if not failing:
                    log.warning("bytes not reported", **log_fields(problem))
                failing = True

    async def report_once(self) -> None:
        """Report once, in one piece of the next transaction."""
        counts = {admitted.tunnel_id: (relay.bytes_in, relay.bytes_out) for admitted, relay in self._registry}
        news = {
            tunnel_id: count
            for tunnel_id, count in counts.items()
            if count != self._reported.get(tunnel_id, (0, 0))
        }
        if news:
            await asyncio.wrap_future(self._commits.submit(lambda tx: tx.report_bytes(news)))
        self._reported = counts
