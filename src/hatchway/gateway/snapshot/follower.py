"""Keeps a snapshot up with the store.

A gateway that cannot reach the store goes on with what it knows. It can open nothing meanwhile, because
nothing can be recorded.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

import structlog

from hatchway.gateway.snapshot.subjects import touched
from hatchway.gateway.snapshot.table import key_of
from hatchway.store import BEGINNING, OF_VPCS, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatchway.domain.network import Vpc
    from hatchway.gateway.snapshot.snapshot import Snapshot
    from hatchway.gateway.snapshot.subjects import Touched
    from hatchway.store import Changes, Store
    from hatchway.store.notifications import ChangeNotifications

RETRY: Final = 0.5
"""Seconds from a failed read of the store to the next attempt."""
ASKED_INTERVAL: Final = 0.25
"""Seconds after a look before which nobody who asks for news has another one made. It is one query of one
row, so strangers who ask without end cost the store four of them a second for each worker."""

log = structlog.get_logger("hatchway.gateway")


class Follower:
    """Follows the store's change feed by revision, so that a change missed is a change seen later.

    A store that was restored has other revisions, or other marks of them: all of it is read anew.
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        applied: Callable[[Changes, Touched], None],
        serves: Callable[[Vpc], bool] = lambda _: True,
    ) -> None:
        """
        Args:
            applied: is told of all changes and what they touch, when they are in the snapshot.
            serves: the VPCs whose instances and security groups the snapshot is to have.
        """
        self._store = store
        self._snapshot = snapshot
        self._applied = applied
        self._serves = serves
        self._behind = False
        self._looked = asyncio.Event()
        self._asked = asyncio.Event()
        self.looked_at = 0.0
        """When the snapshot was last seen to be the store's state, by `time.monotonic`."""
        self.restores = 0
        """How often what had been seen of the store was found not to be its past."""

    def catch_up(self) -> None:
        """Read what has changed, waiting for the store."""
        began = time.monotonic()
        changes, subjects = self._read()
        self._snapshot.apply(changes)
        self._applied(changes, subjects)
        self.looked_at = began

    async def follow(self) -> None:
        """Catch up again and again, without making the event loop wait for the store."""
        async with self._store.notifications() as notifications:
            while True:
                await (asyncio.sleep(RETRY) if self._behind else self._due(notifications))
                self._asked.clear()
                await self._look()

    async def caught_up(self, within: float) -> None:
        """Returns when the snapshot has been seen to be the store's state at the time of this call, or later.

        It waits no longer than `within` seconds, and has the store looked at, but only so often.
        """
        asked = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.looked_at < asked:
                    self._asked.set()
                    await self._looked.wait()

    async def _due(self, notifications: ChangeNotifications) -> None:
        """Returns when it is time to look: because of what is told, or because somebody asks."""
        told = asyncio.create_task(notifications.next())
        asked = asyncio.create_task(self._asked_for())
        try:
            done, _ = await asyncio.wait((told, asked), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            told.cancel()
            asked.cancel()

    async def _asked_for(self) -> None:
        await self._asked.wait()
        await asyncio.sleep(self.looked_at + ASKED_INTERVAL - time.monotonic())

    async def _look(self) -> None:
        began = time.monotonic()
        news = None
        try:
            if await asyncio.to_thread(self._store.position) != self._snapshot.position:
                news = await asyncio.to_thread(self._read)
        except Exception as problem:
            if not self._behind:
                log.error("store cannot be followed", **log_fields(problem))
            self._behind = True
            return
        if news is not None:
            changes, subjects = news
            if changes.restored:
                self.restores += 1
                log.warning(
                    "store was restored",
                    seen=self._snapshot.revision,
                    revision=changes.revision,
                    remedy="none needed: all is read anew, and every open tunnel decided on again",
                )
            for _ in self._snapshot.applying(changes):
                await asyncio.sleep(0)
            self._applied(changes, subjects)
        self.looked_at = began
        self._looked.set()
        self._looked = asyncio.Event()
        if self._behind:
            self._behind = False
            log.info("store is followed again", revision=self._snapshot.revision)

    def _read(self) -> tuple[Changes, Touched]:
        """What has changed, and what that touches. It can be thousands of rows, so this must not run on the
        event loop."""
        changes = self._store.changes(self._snapshot.position, self._serves)
        if not changes.everything:
            renewed = {vpc.id: vpc for vpc in changes.changed.get("vpcs", ())}
            if any(map(self._was_left_out, renewed.values())):
                # What was left out is needed now.
                changes = self._store.changes(BEGINNING, self._serves)
            else:
                changes = self._of_served(changes, renewed)
        return changes, touched(changes, key_of)

    def _was_left_out(self, vpc: Vpc) -> bool:
        """Whether the snapshot lacks the rows of a VPC that is served now."""
        before = self._snapshot.vpc(vpc.id)
        return before is not None and self._serves(vpc) and not self._serves(before)

    def _of_served(self, changes: Changes, renewed: Mapping[str, Vpc]) -> Changes:
        """The same, in which the rows of other VPCs are gone: they may have been served ones' before."""

        def is_served(row: Any) -> bool:
            vpc = renewed.get(row.vpc_id) or self._snapshot.vpc(row.vpc_id)
            return vpc is not None and self._serves(vpc)

        changed, deleted = dict(changes.changed), dict(changes.deleted)
        for table in OF_VPCS:
            rows = changed.get(table, ())
            served = [is_served(row) for row in rows]
            if not all(served):
                kept = list(compress(rows, served))
                gone = [key_of(table, row) for row, is_kept in zip(rows, served, strict=True) if not is_kept]
                changed[table], deleted[table] = kept, [*deleted.get(table, ()), *gone]
        return replace(changes, changed=changed, deleted=deleted)
