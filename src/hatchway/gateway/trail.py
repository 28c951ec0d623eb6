"""Where tunnels are entered: the audit trail and the list of live tunnels, in one transaction.

Nothing is passed on before `opened` has returned.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from sqlalchemy import ColumnElement, Select, bindparam, func, select

from hatchway.audit.events import Outcome
from hatchway.audit.log import to_record
from hatchway.domain.tunnel import Tunnel
from hatchway.gateway.refusal import ENDPOINT_FULL, NOT_RECORDED, NOT_RECORDING, PRINCIPAL_FULL
from hatchway.store import log_fields
from hatchway.store.tables import gateway_workers, tunnels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.gateway.admission import Admitted, Refused
    from hatchway.gateway.refusal import Closure, Overrun, Refusal
    from hatchway.gateway.unrecorded import Unrecorded
    from hatchway.store import Transaction

log = structlog.get_logger("hatchway.gateway")


PATIENCE: Final = 30.0
"""Seconds that a client waits for its tunnel's record: a database server that hangs says nothing at all."""


class QuotaReached(Exception):
    """All gateways together carry as many tunnels as this quota lets there be."""

    def __init__(self, overrun: Overrun) -> None:
        super().__init__(overrun.what)
        self.overrun = overrun


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of a tunnel: seconds, and payload bytes from the client and to it.

    `cause` is what the audit trail is told, besides, of an end from above.
    """

    duration: float
    bytes_in: int
    bytes_out: int
    closure: Closure
    cause: Mapping[str, Any] = field(default_factory=dict)


class Trail:
    """The books of one worker. What cannot be entered at once, `unrecorded` enters later."""

    def __init__(
        self, commits: GroupCommit, worker_id: str, new_id: Callable[[], str], unrecorded: Unrecorded
    ) -> None:
        self._commits = commits
        self._worker_id = worker_id
        self._new_id = new_id
        self._unrecorded = unrecorded

    async def opened(self, admitted: Admitted, now: datetime) -> None:
        """Enter a tunnel that is about to connect.

        Raises:
            QuotaReached: see there; that is entered too.
            Exception: it is not known to be entered. What became of it is settled later.
        """
        tunnel = Tunnel(
            id=admitted.tunnel_id,
            gateway_id=self._worker_id,
            endpoint_id=admitted.request.endpoint_id,
            instance_id=admitted.instance_id,
            principal_arn=admitted.principal.arn,
            access_key_id=admitted.principal.access_key_id,
            source_ip=admitted.source_ip,
            private_ip=admitted.request.private_ip,
            remote_port=admitted.request.remote_port,
            opened_at=now,
            expires_at=now + timedelta(seconds=admitted.request.max_duration),
        )
        event_id = self._new_id()

        def enter(tx: Transaction) -> Overrun | None:
            overrun = _overrun(tx, admitted, now)
            if overrun is None:
                tx.tunnels.put(tunnel)
                outcome = _opened_outcome(admitted)
            else:
                outcome = _refusal_outcome(overrun.refusal, admitted.additional)
            event = admitted.call.event("OpenTunnel", event_id, now, outcome)
            tx.audit_records.put(to_record(event, now))
            return overrun

        try:
            async with asyncio.timeout(PATIENCE):
                overrun = await asyncio.wrap_future(self._commits.submit(enter))
        except Exception:
            self._unrecorded.add(self._undoing(admitted, event_id, now))
            raise
        if overrun is not None:
            raise QuotaReached(overrun)

    async def refused(self, refused: Refused, now: datetime) -> None:
        """Enter a request that got no tunnel."""
        outcome = _refusal_outcome(refused.refusal, refused.additional)
        record = to_record(refused.call.event("OpenTunnel", self._new_id(), now, outcome), now)

        def enter(tx: Transaction) -> None:
            tx.audit_records.put(record)

        try:
            await asyncio.wrap_future(self._commits.submit(enter))
        except Exception as problem:
            kept = self._unrecorded.add_refusal(enter)
            request_id = refused.call.source.request_id
            log.error("refusal not recorded", request_id=request_id, tried_again=kept, **log_fields(problem))

    async def closed(self, admitted: Admitted, carried: Carried, now: datetime) -> None:
        """Enter the end of a tunnel that was entered as opened, now or later."""
        enter = self._closing(admitted, carried, now)
        try:
            # A worker that ends does not wait for it, and yet it is done.
            await asyncio.shield(asyncio.wrap_future(self._commits.submit(enter)))
        except Exception as problem:
            self._unrecorded.add(enter)
            log.error("end of tunnel not recorded yet", tunnel_id=admitted.tunnel_id, **log_fields(problem))

    def _closing(self, admitted: Admitted, carried: Carried, now: datetime) -> Callable[[Transaction], bool]:
        """The piece that enters the end of a tunnel, unless that is entered; whether it did."""
        additional: dict[str, Any] = {
            "tunnelId": admitted.tunnel_id,
            "durationSeconds": round(carried.duration, 3),
            "bytesIn": carried.bytes_in,
            "bytesOut": carried.bytes_out,
            "closeCode": carried.closure.code,
            "closeReason": carried.closure.reason,
            **carried.cause,
        }
        event = admitted.call.event("CloseTunnel", self._new_id(), now, Outcome(additional=additional))
        tunnel_id, record = admitted.tunnel_id, to_record(event, now)

        def enter(tx: Transaction) -> bool:
            # No row: this has been committed before, or others have taken this worker for dead.
            if not tx.tunnels.delete(tunnel_id):
                return False
            tx.audit_records.put(record)
            return True

        return enter

    def _undoing(self, admitted: Admitted, event_id: str, now: datetime) -> Callable[[Transaction], None]:
        """The piece that enters that there was no tunnel, whether its opening was committed or not."""
        close = self._closing(admitted, Carried(0.0, 0, 0, NOT_RECORDED), now)
        outcome = _refusal_outcome(NOT_RECORDING, admitted.additional)
        refusal = to_record(admitted.call.event("OpenTunnel", event_id, now, outcome), now)

        def settle(tx: Transaction) -> None:
            if not close(tx) and tx.audit_records.get(event_id) is None:
                tx.audit_records.put(refusal)

        return settle


def _overrun(tx: Transaction, admitted: Admitted, now: datetime) -> Overrun | None:
    """The quota that one more tunnel would exceed, counting those of every worker that is alive."""
    if tx.tunnels.scalar(_ON_ENDPOINT, now=now, of=admitted.request.endpoint_id) >= admitted.quota:
        return ENDPOINT_FULL
    most = admitted.principal_quota
    if most and tx.tunnels.scalar(_OF_PRINCIPAL, now=now, of=admitted.principal.arn) >= most:
        return PRINCIPAL_FULL
    return None


def _live_tunnels(column: ColumnElement[str]) -> Select[int]:
    alive = select(gateway_workers.c.id).where(gateway_workers.c.lease_until > bindparam("now"))
    return (
        select(func.count())
        .select_from(tunnels)
        .where(tunnels.c.gateway_id.in_(alive), column == bindparam("of"))
    )


_ON_ENDPOINT: Final = _live_tunnels(tunnels.c.endpoint_id)
_OF_PRINCIPAL: Final = _live_tunnels(tunnels.c.principal_arn)


def _opened_outcome(admitted: Admitted) -> Outcome:
    return Outcome(additional={"tunnelId": admitted.tunnel_id, **admitted.additional})


def _refusal_outcome(refusal: Refusal, additional: dict[str, Any]) -> Outcome:
    return Outcome(error_code=refusal.error_code, error_message=refusal.message, additional=additional)
