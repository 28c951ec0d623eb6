"""Keeps a snapshot up to date with the store.

A gateway that cannot reach the store goes on with what it knows. Until then it can open no tunnel, because
nothing can be recorded.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING, Final

import structlog

from hatchway.gateway.snapshot.dependencies import touched
from hatchway.gateway.snapshot.table import key_of
from hatchway.store import BEGINNING, OF_VPCS, log_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hatchway.domain.account import Account
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Vpc
    from hatchway.gateway.snapshot.dependencies import Touched
    from hatchway.gateway.snapshot.snapshot import Snapshot
    from hatchway.store import Changes, Serves, Store
    from hatchway.store.change_feed.notifications import ChangeNotifications

RETRY: Final = 0.5
"""Seconds from a failed read of the store to the next attempt."""
ASKED_INTERVAL: Final = 0.25
"""Seconds after a check during which nobody who asks for news causes another one. A check is a query of one
row, so strangers who ask without end cause at most four of them a second for each worker."""

log = structlog.get_logger("hatchway.gateway")


class Follower:
    """Follows the store's change feed by revision, so that a missed change is found later.

    A restored store has other revisions, or other marks of them: then everything is read again.
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        applied: Callable[[Changes, Touched], None],
        serves: Serves = lambda *_: True,
        required: Callable[[Account | None], None] = lambda account: None,
    ) -> None:
        """
        Args:
            applied: called with all changes and what they affect, once the snapshot has them.
            serves: selects the VPCs whose instances and security groups the snapshot needs.
            required: raises if the account of a store that is read completely must not be followed.
        """
        self._store = store
        self._snapshot = snapshot
        self._applied = applied
        self._serves = serves
        self._required = required
        self._behind = False
        self._looked = asyncio.Event()
        self._asked = asyncio.Event()
        self.looked_at = 0.0
        """When the snapshot was last known to be the store's state, by `time.monotonic`."""
        self.restores = 0
        """How often the store turned out not to be a continuation of what was read before."""

    def catch_up(self) -> None:
        """Read what has changed, and block until the store has answered."""
        began = time.monotonic()
        changes, dependencies = self._read()
        self._snapshot.apply(changes)
        self._applied(changes, dependencies)
        self.looked_at = began

    async def follow(self) -> None:
        """Catch up again and again, without blocking the event loop."""
        async with self._store.notifications() as notifications:
            while True:
                await (asyncio.sleep(RETRY) if self._behind else self._due(notifications))
                self._asked.clear()
                await self._look()

    async def caught_up(self, within: float) -> None:
        """Return when the snapshot is known to be the store's state at the time of this call, or later.

        It waits at most `within` seconds. It causes a check of the store, but not more often than
        `ASKED_INTERVAL` allows.
        """
        asked = time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.looked_at < asked:
                    self._asked.set()
                    await self._looked.wait()

    async def _due(self, notifications: ChangeNotifications) -> None:
        """Return when it is time for a check: after a notification, or because somebody asks."""
        notified = asyncio.create_task(notifications.next())
        asked = asyncio.create_task(self._asked_for())
        try:
            done, _ = await asyncio.wait((notified, asked), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            notified.cancel()
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
            changes, dependencies = news
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
            self._applied(changes, dependencies)
        self.looked_at = began
        self._looked.set()
        self._looked = asyncio.Event()
        if self._behind:
            self._behind = False
            log.info("store is followed again", revision=self._snapshot.revision)

    def _read(self) -> tuple[Changes, Touched]:
        """What has changed, and what that affects. It may be thousands of rows, so this must not run on the
        event loop."""
        changes = self._store.changes(self._snapshot.position, self._serves)
        if changes.everything:
            self._required(next(iter(changes.changed["accounts"]), None))
        else:
            after = _NetworkAfter(self._snapshot, changes)
            if any(self._was_left_out(vpc_id, after) for vpc_id in after.touched):
                # What was left out is needed now.
                changes = self._store.changes(BEGINNING, self._serves)
            else:
                changes = self._of_served(changes, after)
        return changes, touched(changes, key_of)

    def _was_left_out(self, vpc_id: str, after: _NetworkAfter) -> bool:
        """Whether the snapshot lacks the rows of a VPC that is served now."""
        before = self._snapshot.vpc(vpc_id)
        return (
            before is not None
            and after.is_served(vpc_id, self._serves)
            and not self._serves(before, self._snapshot.endpoints_of(vpc_id))
        )

    def _of_served(self, changes: Changes, after: _NetworkAfter) -> Changes:
        """The same, in which the rows of other VPCs are gone: they may have been served ones' before."""
        changed, deleted = dict(changes.changed), dict(changes.deleted)
        for table in OF_VPCS:
            rows = changed.get(table, ())
            served = [after.is_served(row.vpc_id, self._serves) for row in rows]
            if not all(served):
                kept = list(compress(rows, served))
                gone = [key_of(table, row) for row, is_kept in zip(rows, served, strict=True) if not is_kept]
                changed[table], deleted[table] = kept, [*deleted.get(table, ()), *gone]
        return replace(changes, changed=changed, deleted=deleted)


class _NetworkAfter:
    """The VPCs and their endpoints as they will be once some changes have been applied.

    Attributes:
        touched: the ids of VPCs for which this may differ from the snapshot.
    """

    def __init__(self, snapshot: Snapshot, changes: Changes) -> None:
        self._snapshot = snapshot
        self._vpcs: dict[str, Vpc] = {vpc.id: vpc for vpc in changes.changed.get("vpcs", ())}
        self._endpoints: Sequence[Endpoint] = changes.changed.get("endpoints", ())
        gone = {endpoint_id for (endpoint_id,) in changes.deleted.get("endpoints", ())}
        self._replaced = gone | {endpoint.id for endpoint in self._endpoints}
        before = filter(None, map(snapshot.endpoint, self._replaced))
        self.touched = {*self._vpcs, *(endpoint.vpc_id for endpoint in (*before, *self._endpoints))}
        self._served: dict[str, bool] = {}

    def is_served(self, vpc_id: str, serves: Serves) -> bool:
        if vpc_id not in self._served:
            vpc = self._vpcs.get(vpc_id) or self._snapshot.vpc(vpc_id)
            self._served[vpc_id] = vpc is not None and serves(vpc, tuple(self._endpoints_of(vpc_id)))
        return self._served[vpc_id]

    def _endpoints_of(self, vpc_id: str) -> Iterable[Endpoint]:
        yield from (each for each in self._snapshot.endpoints_of(vpc_id) if each.id not in self._replaced)
        yield from (each for each in self._endpoints if each.vpc_id == vpc_id)
