"""A worker's claim to be alive: its tunnels count as long as its lease runs.

If a worker's lease runs out and is not renewed within a grace period, the control plane considers the worker
dead and records the end of its tunnels. To make sure that none of them is still open then:

- a worker whose lease has run out opens no tunnel;
- a worker that cannot renew its lease checks whether it has been considered dead. If so, it ends the tunnels
  whose end was recorded. If not, for example because the store is locked or full, they go on;
- a worker whose store was restored does the same with tunnels that were recorded after the restored backup;
- a worker that can neither renew its lease nor check ends all its tunnels shortly before the grace period is
  over. It cannot know what has been revoked in the meantime either.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.domain.tunnel import GRACE, LEASE, GatewayWorker
from hatchway.store import ClockCheck, log_fields, worker_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.store import Store, Transaction

RENEWAL: Final = 5.0
"""Seconds between two renewals."""

RETRY: Final = 1.0
"""Seconds between a failed renewal and the next."""

LOOK: Final = 1.0
"""Seconds between two checks of a lease that could not be renewed."""

_SETTLED: Final = timedelta(seconds=60)
"""A tunnel whose record is older than this is being carried, or has ended."""

LONGEST_UNCERTAINTY: Final = (LEASE + GRACE).total_seconds() - 10
"""Seconds after which a worker that could neither renew its lease nor read it ends its tunnels."""

log = structlog.get_logger("hatchway.gateway")


class Lease:
    """One worker's row in the store."""

    def __init__(
        self,
        store: Store,
        commits: GroupCommit,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        *,
        end: Callable[[Collection[str] | None], int],
        recorded: Callable[[], Collection[str]],
        required: Callable[[Transaction], None] = lambda tx: None,
        worker_id: str,
        host: str,
        port: int,
    ) -> None:
        """
        Args:
            end: ends tunnels by their ids, all of them for None, and returns how many it ended.
            recorded: returns the ids of all tunnels that exist and whose opening is known to be committed.
            required: raises in a transaction of a store that says nothing about this worker.
        """
        self._store = store
        self._commits = commits
        self._clock = clock
        self._monotonic = monotonic
        self._end = end
        self._recorded = recorded
        self._required = required
        now = clock()
        self._worker = GatewayWorker(id=worker_id, host=host, port=port, started_at=now, lease_until=now)
        self._clocks = ClockCheck()
        self._locks = (worker_lock(worker_id),)
        self._claimed = self._restored = False
        self._until = self._certain_at = monotonic()

    @property
    def runs(self) -> bool:
        """Whether this worker's tunnels count. If not, it must not open any."""
        return self._monotonic() < self._until

    @property
    def clock_is_useless(self) -> bool:
        """Whether this machine's clock is so wrong that no signature is valid by it."""
        return self._clocks.useless

    async def renew(self) -> None:
        """Claim to be alive for `LEASE` from now.

        Raises:
            Exception: the store could not be written.
        """
        # The store need not have anything that is committed together with this, or later.
        restored, recorded = self._restored, frozenset(self._recorded())

        def claim(tx: Transaction) -> tuple[float, Collection[str] | None]:
            began = self._monotonic()
            self._required(tx)
            dead = self._claimed and tx.gateway_workers.get(self._worker.id) is None
            tx.gateway_workers.put(replace(self._worker, lease_until=self._now(tx) + LEASE))
            entered = self._entered(tx) if dead or restored else None
            if restored:
                self._disown(tx, recorded)
            return began, entered

        began, left = await asyncio.shield(
            asyncio.wrap_future(self._commits.submit(claim, locks=self._locks))
        )
        self._claimed = True
        self._certain_at = began
        self._until = began + LEASE.total_seconds()
        if restored:
            self._restored = False
            if (ended := self._end(recorded.difference(left or ()))) > 0:
                log.error(
                    "tunnels ended",
                    tunnels=ended,
                    problem="the store was restored, and does not have them: they were opened after what was"
                    " restored",
                )
        elif left is not None:
            self._taken_for_dead(recorded.difference(left))

    def store_restored(self) -> None:
        """At the next renewal, end the tunnels that the restored store does not have."""
        self._restored = True

    async def run(self) -> None:
        """Renew again and again."""
        failing = False
        while True:
            await asyncio.sleep(RETRY if failing else RENEWAL)
            try:
                await self.renew()
            except Exception as problem:
                if not failing:
                    log.error("lease not renewed", worker_id=self._worker.id, **log_fields(problem))
                failing = True
            else:
                if failing:
                    log.info("lease is renewed again", worker_id=self._worker.id)
                failing = False

    async def watch(self) -> None:
        """As long as the lease is not renewed, end the tunnels that have to end."""
        looking: asyncio.Task[None] | None = None
        ran = True
        while True:
            await asyncio.sleep(LOOK)
            if ran and not self.runs:
                log.error(
                    "no tunnel is opened",
                    worker_id=self._worker.id,
                    problem="the lease has run out, not having been renewed in time. The lines above say why;"
                    " if there are none, the store does not answer: see whether it hangs",
                )
            ran = self.runs
            silence = self._monotonic() - self._certain_at
            if silence >= LONGEST_UNCERTAINTY and (ended := self._end(None)):
                log.error(
                    "tunnels ended",
                    tunnels=ended,
                    problem=f"the store has not answered for {silence:.0f} seconds: whether these tunnels are"
                    " still allowed and recorded cannot be known. The lines above say why",
                )
            # The store may take any time to answer.
            if silence >= 2 * RENEWAL and self._claimed and (looking is None or looking.done()):
                looking = asyncio.create_task(self._look())

    async def give_up(self) -> None:
        """The worker ends. Tunnels whose end could not be recorded are left to the control plane."""

        def leave(tx: Transaction) -> None:
            if tx.tunnels.count(gateway_id=self._worker.id):
                tx.gateway_workers.put(replace(self._worker, lease_until=self._now(tx)))
            else:
                tx.gateway_workers.delete(self._worker.id)

        await asyncio.shield(asyncio.wrap_future(self._commits.submit(leave, locks=self._locks)))

    async def _look(self) -> None:
        """Check, only by reading, whether this worker has been considered dead."""

        def look() -> tuple[bool, Collection[str]]:
            with self._store.read() as tx:
                self._required(tx)
                return tx.gateway_workers.get(self._worker.id) is not None, self._entered(tx)

        began, recorded = self._monotonic(), frozenset(self._recorded())
        try:
            alive, left = await asyncio.to_thread(look)
        except Exception as problem:
            log.debug("lease cannot be looked at", problem=str(problem))
            return
        self._certain_at = max(began, self._certain_at)
        if not alive:
            self._claimed = False
            self._until = began
            self._taken_for_dead(recorded.difference(left))

    def _now(self, tx: Transaction) -> datetime:
        """The time by which others judge the lease."""
        own, there = self._clock(), tx.server_time()
        if there is None:
            return own
        self._clocks.compare(own, there)
        return there

    def _entered(self, tx: Transaction) -> Collection[str]:
        return frozenset(tunnel.id for tunnel in tx.tunnels.find(gateway_id=self._worker.id))

    def _disown(self, tx: Transaction, recorded: Collection[str]) -> None:
        """Leave tunnels that ended after the restored backup to the control plane, like those of a lost
        worker."""
        settled = self._clock() - _SETTLED
        for tunnel in tx.tunnels.find(gateway_id=self._worker.id):
            if tunnel.id not in recorded and tunnel.opened_at < settled:
                tx.tunnels.put(replace(tunnel, gateway_id=f"{self._worker.id}-restored"))

    def _taken_for_dead(self, entered_as_ended: Collection[str]) -> None:
        ended = self._end(entered_as_ended)
        log.error(
            "worker was taken for dead",
            worker_id=self._worker.id,
            tunnels_ended=ended,
            problem="its lease had not been renewed in time: the lines above say why; if there are none, this"
            " process was suspended, or its machine stood still",
        )
