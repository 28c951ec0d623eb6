"""Tunnels of gateway workers that died without closing them: the control plane enters their end."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import select

from hatchway.audit.events import event_time
from hatchway.audit.log import to_record
from hatchway.audit.stored_events import read_event
from hatchway.audit.terms import NO_EVENT
from hatchway.control.plane import ControlPlane
from hatchway.domain.account import AuditRecord
from hatchway.domain.tunnel import GRACE, LEASE, GatewayWorker, Tunnel
from hatchway.store import Transaction
from hatchway.store.tables import gateway_workers, tunnels

LOST: Final = {"closeCode": 1006, "closeReason": "The gateway worker was lost"}

_AT_ONCE: Final = 200
"""Tunnels entered in one transaction: gateways wait for it."""

log = structlog.get_logger("hatchway.control.housekeeping")


class DeadWorkers:
    """Finds the workers that are dead, in rounds.

    A worker is dead when two rounds in a row find the same lease, over by more than the time of grace, and
    the first of them could write to the store. So one that could not renew it because nobody could write has
    had the time between the two for that.

    What a dead worker has left is entered under its lock, which a worker takes too that claims to be alive.
    Where others keep the tables to themselves a round fails in a moment, as all other tasks wait for it.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._seen: dict[str, datetime] = {}

    def end_their_tunnels(self) -> int:
        """One round: enters the end of every tunnel whose worker is dead, and takes both away.

        Gives the number of workers. Tunnels without a worker, left by a round that was interrupted, are ended
        as well.
        """
        plane = self._plane
        seen, self._seen = self._seen, {}
        now = plane.clock()
        overdue = gateway_workers.c.lease_until <= now - GRACE
        orphaned = (
            tunnels.c.gateway_id.not_in(select(gateway_workers.c.id)),
            tunnels.c.opened_at <= now - LEASE - GRACE,
        )
        # Looked for first: the write lock is not taken every few seconds for nothing.
        with plane.store.read() as tx:
            tx.wait_briefly()
            if not tx.gateway_workers.count(overdue) and not tx.tunnels.count(*orphaned):
                return 0
        with plane.store.record() as tx:
            tx.wait_briefly()
            workers = tx.gateway_workers.find(overdue)
            lost = {tunnel.gateway_id for tunnel in tx.tunnels.find(*orphaned, limit=_AT_ONCE)}
            tx.lock_workers(*lost)
            orphans = tx.tunnels.find(*orphaned, tunnels.c.gateway_id.in_(lost), limit=_AT_ONCE)
            self._enter(tx, orphans, now)
        if orphans:
            log.warning("tunnels of lost workers entered as ended", tunnels=len(orphans))
        self._seen = {worker.id: worker.lease_until for worker in workers}
        dead = [worker for worker in workers if seen.get(worker.id) == worker.lease_until]
        for worker in dead:
            self._end_tunnels_of(worker)
        return len(dead)

    def _end_tunnels_of(self, worker: GatewayWorker) -> None:
        with self._plane.store.record() as tx:
            tx.wait_briefly()
            tx.lock_workers(worker.id)
            if tx.gateway_workers.get(worker.id) != worker:
                return
            # The worker's row first: if the worker is alive after all, this tells it that its tunnels are
            # entered as ended.
            tx.gateway_workers.delete(worker.id)
        count = 0
        while True:
            with self._plane.store.record() as tx:
                tx.wait_briefly()
                tx.lock_workers(worker.id)
                if tx.gateway_workers.get(worker.id) is not None:
                    break
                some = tx.tunnels.find(gateway_id=worker.id, limit=_AT_ONCE)
                self._enter(tx, some, worker.lease_until)
            count += len(some)
            if len(some) < _AT_ONCE:
                break
        log.warning("gateway worker lost", worker_id=worker.id, host=worker.host, tunnels=count)

    def _enter(self, tx: Transaction, ended: Iterable[Tunnel], by: datetime) -> None:
        """Enters tunnels as ended at a moment at the latest, and takes their rows away."""
        for tunnel in ended:
            event_id = str(UUID(bytes=self._plane.random_bytes(16), version=4))
            _enter_end(tx, tunnel, by, event_id, self._plane.clock())


def _enter_end(tx: Transaction, tunnel: Tunnel, by: datetime, event_id: str, now: datetime) -> None:
    # Not when its gateway, or another control plane, has done so.
    if not tx.tunnels.delete(tunnel.id):
        return
    # The event of the opening was entered together with the tunnel; it may have been pruned.
    for opened in tx.audit_records.find(event_name="OpenTunnel", event_time=tunnel.opened_at):
        closing = _closing(opened, tunnel, by, event_id, now)
        if closing is not None:
            tx.audit_records.add(closing)
            return


def _closing(
    opened: AuditRecord, tunnel: Tunnel, by: datetime, event_id: str, now: datetime
) -> AuditRecord | None:
    """The record of a tunnel's end, by that of its opening; None when that is another's, or no event."""
    event = read_event(opened.body)
    if event is None or (event.get("additionalEventData") or {}).get("tunnelId") != tunnel.id:
        return None
    end = min(max(by, tunnel.opened_at), tunnel.expires_at)
    closed = {
        **event,
        "eventName": "CloseTunnel",
        "eventID": event_id,
        "eventTime": event_time(now),
        "additionalEventData": {
            "tunnelId": tunnel.id,
            # At most: nobody saw it end.
            "durationSeconds": round((end - tunnel.opened_at).total_seconds(), 3),
            "bytesIn": tunnel.bytes_in,
            "bytesOut": tunnel.bytes_out,
            **LOST,
        },
    }
    try:
        record = to_record(closed, now)
    except NO_EVENT:
        return None
    # What those columns hold has room in them.
    return replace(
        record,
        event_source=opened.event_source,
        request_id=opened.request_id,
        user_name=opened.user_name,
        access_key_id=opened.access_key_id,
    )
