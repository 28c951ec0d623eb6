"""Tunnels of gateway workers that died without closing them: their end is entered by whoever is left."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from hatchway.audit.log import to_record
from hatchway.control.plane import ControlPlane
from hatchway.domain.tunnel import GatewayWorker, Tunnel
from hatchway.store import Transaction
from hatchway.store.tables import gateway_workers

GRACE: Final = timedelta(seconds=40)
"""Beyond its lease, in which a worker that could not reach the store may come back."""

LOST: Final = {"closeCode": 1006, "closeReason": "The gateway worker was lost"}

log = structlog.get_logger("hatchway.control.housekeeping")


def bury_dead_workers(plane: ControlPlane) -> int:
    """Enters the end of every tunnel whose worker is dead, and takes both away; how many workers."""
    dead = gateway_workers.c.lease_until <= plane.clock() - GRACE
    # Looked for first: the write lock is not taken every few seconds for nothing.
    with plane.store.read() as tx:
        if not tx.gateway_workers.count(dead):
            return 0
    with plane.store.write() as tx:
        workers = tx.gateway_workers.find(dead)
        for worker in workers:
            tunnels = tx.tunnels.find(gateway_id=worker.id)
            for tunnel in tunnels:
                _bury(tx, worker, tunnel, str(UUID(bytes=plane.random_bytes(16), version=4)), plane.clock())
            tx.gateway_workers.delete(worker.id)
            log.warning("gateway worker lost", worker_id=worker.id, host=worker.host, tunnels=len(tunnels))
    return len(workers)


def _bury(tx: Transaction, worker: GatewayWorker, tunnel: Tunnel, event_id: str, now: datetime) -> None:
    tx.tunnels.delete(tunnel.id)
    opened = _opening_event(tx, tunnel)
    if opened is None:
        return
    end = min(max(worker.lease_until, tunnel.opened_at), tunnel.expires_at)
    closed = opened | {
        "eventName": "CloseTunnel",
        "eventID": event_id,
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "additionalEventData": {
            "tunnelId": tunnel.id,
            # At the most: nobody saw it end.
            "durationSeconds": round((end - tunnel.opened_at).total_seconds(), 3),
            "bytesIn": tunnel.bytes_in,
            "bytesOut": tunnel.bytes_out,
            **LOST,
        },
    }
    tx.audit_records.put(to_record(closed, now))


def _opening_event(tx: Transaction, tunnel: Tunnel) -> dict[str, Any] | None:
    """The event of the opening, which was entered together with the tunnel; None when it has been pruned."""
    for record in tx.audit_records.find(event_name="OpenTunnel", event_time=tunnel.opened_at):
        event: dict[str, Any] = json.loads(record.body)
        if event.get("additionalEventData", {}).get("tunnelId") == tunnel.id:
            return event
    return None
