"""Records tunnels: in the audit trail and in the list of live tunnels, in one transaction.

Nothing is passed on before `opened` has returned.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog
from sqlalchemy import ColumnElement, Select, bindparam, func, select

from hatchway.audit.events import Outcome
from hatchway.audit.log import text_to_json, to_json, to_record
from hatchway.audit.refusals import INTERVAL, Refusals
from hatchway.domain.account import AuditRecord
from hatchway.domain.tunnel import Tunnel
from hatchway.gateway.admission.refusal import ENDPOINT_FULL, NOT_RECORDING, PRINCIPAL_FULL, Overrun
from hatchway.gateway.trail.timeouts import SharedTimeout
from hatchway.gateway.tunnel.closures import NOT_RECORDED
from hatchway.store import NowThere, log_fields
from hatchway.store.tables import gateway_workers, tunnels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from hatchway.audit.group_commit import GroupCommit
    from hatchway.gateway.admission.decision import Admitted, Refused
    from hatchway.gateway.admission.refusal import Refusal
    from hatchway.gateway.trail.pending_records import PendingRecords
    from hatchway.store import Transaction
    from hatchway.transport.websocket.close import Closure

log = structlog.get_logger("hatchway.gateway")


RECORD_TIMEOUT: Final = 30.0
"""Seconds that a client waits for its tunnel's record: a database server that hangs does not even report an
error."""


class QuotaReached(Exception):
    """All gateways together carry as many tunnels as this quota allows."""

    def __init__(self, overrun: Overrun) -> None:
        super().__init__(overrun.what)
        self.overrun = overrun


class TunnelSummary(NamedTuple):
    """The outcome of a tunnel: its duration in seconds, and the payload bytes from the client and to it.

    `cause` is what the audit trail also says about a tunnel that was cut.
    """

    duration: float
    bytes_in: int
    bytes_out: int
    closure: Closure
    cause: Mapping[str, Any] = MappingProxyType({})


class Trail:
    """Writes one worker's records. `pending_records` writes later what cannot be written at once."""

    def __init__(
        self, commits: GroupCommit, worker_id: str, new_id: Callable[[], str], pending_records: PendingRecords
    ) -> None:
        self._commits = commits
        self._worker_id = worker_id
        self._new_id = new_id
        self._pending_records = pending_records
        self._timeout = SharedTimeout(RECORD_TIMEOUT)
        self._refusals = Refusals()

    async def opened(self, admitted: Admitted, now: datetime) -> None:
        """Record a tunnel that is about to connect.

        Raises:
            QuotaReached: see there; that is recorded too.
            Exception: it is unknown whether it was recorded. That is settled later.
        """
        tunnel = Tunnel(
            id=admitted.tunnel_id,
            gateway_id=self._worker_id,
            endpoint_id=admitted.request.endpoint_id,
            instance_id=admitted.instance_id,
            principal_arn=admitted.principal.arn,
            maker_id=admitted.principal.maker_id,
            access_key_id=admitted.principal.access_key_id,
            source_ip=admitted.source_ip,
            private_ip=admitted.request.private_ip,
            remote_port=admitted.request.remote_port,
            opened_at=now,
            expires_at=now + timedelta(0, admitted.request.max_duration),
        )
        opening = _Opening(admitted, tunnel, self._new_id())
        locks = _quota_locks(admitted)
        try:
            overrun = await self._timeout.wait(self._commits.enter(_enter, opening, locks=locks))
        except Exception:
            # The opening may still be being committed, on a connection that has broken.
            self._pending_records.add(self._undoing(opening), locks=locks)
            raise
        if isinstance(overrun, Overrun):
            raise QuotaReached(overrun)

    async def refused(self, refused: Refused, now: datetime) -> None:
        """Record a refused request: by itself, or counted together with others of the same caller."""
        source, code = refused.call.source, refused.refusal.error_code
        if not self._refusals.admit(source, "OpenTunnel", code, time=now, now=time.monotonic()):
            return
        outcome = _refusal_outcome(refused.refusal, refused.additional)
        record = to_record(refused.call.event("OpenTunnel", self._new_id(), now, outcome), now)
        try:
            await self._commits.enter(_enter, record)
        except Exception as problem:
            kept = self._pending_records.add_refusal(lambda tx: _enter(tx, [record]))
            log.error(
                "refusal not recorded", request_id=source.request_id, tried_again=kept, **log_fields(problem)
            )

    async def keep_counts(self) -> None:
        """From time to time, record how many refusals had no record of their own."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.enter_counts()

    def enter_counts(self) -> None:
        """Record them once."""
        for record in self._refusals.take(self._new_id).records:
            self._pending_records.add(partial(_enter, entries=[record]))

    async def closed(self, admitted: Admitted, carried: TunnelSummary, now: datetime) -> None:
        """Record the end of a tunnel whose opening was recorded, now or later."""
        closing = self._closing(admitted, carried, now)
        try:
            # It is done even if a worker that ends has stopped waiting for it.
            await self._commits.enter(_enter, closing, regardless=True, patient=True)
        except Exception as problem:
            self._pending_records.add(lambda tx: _enter(tx, [closing]))
            log.error("end of tunnel not recorded yet", tunnel_id=admitted.tunnel_id, **log_fields(problem))

    def _closing(self, admitted: Admitted, carried: TunnelSummary, now: datetime) -> _Closing:
        cause = f",{to_json(carried.cause)[1:-1]}" if carried.cause else ""
        closure, seconds = carried.closure, round(carried.duration, 3)
        additional = (
            f'{{"tunnelId":{text_to_json(admitted.tunnel_id)},"durationSeconds":{seconds!r}'
            f',"bytesIn":{carried.bytes_in},"bytesOut":{carried.bytes_out}'
            f',"closeCode":{closure.code},"closeReason":{text_to_json(closure.reason)}{cause}}}'
        )
        record = admitted.call.record("CloseTunnel", self._new_id(), now, additional)
        return _Closing(admitted.tunnel_id, record)

    def _undoing(self, opening: _Opening) -> Callable[[Transaction], None]:
        """The piece of work that records that there was no tunnel, whether its opening was committed or
        not."""
        admitted, now = opening.admitted, opening.tunnel.opened_at
        closing = self._closing(admitted, TunnelSummary(0.0, 0, 0, NOT_RECORDED), now)
        outcome = _refusal_outcome(NOT_RECORDING, admitted.additional)
        refusal = to_record(admitted.call.event("OpenTunnel", opening.event_id, now, outcome), now)

        def settle(tx: Transaction) -> None:
            (closed,) = _enter(tx, [closing])
            if not closed and tx.audit_records.get(opening.event_id) is None:
                tx.audit_records.add(refusal)

        return settle


class _Opening(NamedTuple):
    admitted: Admitted
    tunnel: Tunnel
    event_id: str

    def record(self, overrun: Overrun | None) -> AuditRecord:
        """The record of a tunnel that is opened, or of one that would exceed a quota."""
        admitted, now = self.admitted, self.tunnel.opened_at
        if overrun is None:
            return admitted.call.record("OpenTunnel", self.event_id, now, admitted.additional_json)
        outcome = _refusal_outcome(overrun.refusal, admitted.additional)
        return to_record(admitted.call.event("OpenTunnel", self.event_id, now, outcome), now)


class _Closing(NamedTuple):
    tunnel_id: str
    record: AuditRecord


_Entry = _Opening | _Closing | AuditRecord
"""What is recorded: a tunnel's opening, its end, or a record by itself."""


def _enter(tx: Transaction, entries: Sequence[_Entry]) -> Sequence[Overrun | bool | None]:
    """Write everything that goes into one commit, with few statements.

    Ends come first: an opening may need what they free. An end that has been recorded is not recorded again.
    The quota locks of the openings are held.

    Returns:
        For each opening the quota that it would exceed, None if it is recorded as opened; for each end
        whether this call has recorded it.
    """
    ended = [each.tunnel_id for each in entries if isinstance(each, _Closing)]
    deleting = tx.tunnels.deleting(ended) if ended else set[str]
    # They are asked together, so that the database is waited for once.
    live = _Live(tx, [each for each in entries if isinstance(each, _Opening)])
    # No row: this has been committed before, or the control plane has considered this worker dead.
    gone = deleting()
    answers: list[Overrun | bool | None] = []
    records: list[AuditRecord] = []
    opened: list[Tunnel] = []
    for each in entries:
        answer: Overrun | bool | None = None
        if isinstance(each, _Opening):
            answer = live.overrun(each.admitted)
            if answer is None:
                opened.append(each.tunnel)
                live.add(each.admitted)
            records.append(each.record(answer))
        elif isinstance(each, _Closing):
            answer = each.tunnel_id in gone
            if answer:
                records.append(each.record)
        else:
            records.append(each)
        answers.append(answer)
    tx.tunnels.add_all(opened)
    tx.audit_records.add_all(records)
    return answers


def _quota_locks(admitted: Admitted) -> list[str]:
    """The names of its quotas: no two openings may both take the last place of one."""
    names = [f"endpoint {admitted.request.endpoint_id}"]
    if admitted.principal_quota:
        names.append(f"principal {admitted.principal.maker_id}")
    return names


class _Live:
    """The tunnels of all living workers, as the quotas count them, including those of this transaction."""

    def __init__(self, tx: Transaction, openings: Sequence[_Opening]) -> None:
        """`openings` are the ones that will be asked about."""
        asked: dict[tuple[Select[int], str], Callable[[], int]] = {}
        for each in openings:
            for query, of in _counted(each.admitted):
                if (query, of) not in asked:
                    asked[query, of] = tx.tunnels.ask(query, now=each.tunnel.opened_at, of=of)
        self._counts = {counted: answer() for counted, answer in asked.items()}

    def overrun(self, admitted: Admitted) -> Overrun | None:
        """The quota that one more tunnel would exceed."""
        if self._counts[_ON_ENDPOINT, admitted.request.endpoint_id] >= admitted.quota:
            return ENDPOINT_FULL
        most = admitted.principal_quota
        if most and self._counts[_OF_PRINCIPAL, admitted.principal.maker_id] >= most:
            return PRINCIPAL_FULL
        return None

    def add(self, admitted: Admitted) -> None:
        """Count one more tunnel."""
        for counted in (
            (_ON_ENDPOINT, admitted.request.endpoint_id),
            (_OF_PRINCIPAL, admitted.principal.maker_id),
        ):
            if counted in self._counts:
                self._counts[counted] += 1


_NOW: Final = NowThere("now")


def _live_tunnels(column: ColumnElement[str]) -> Select[int]:
    alive = select(gateway_workers.c.id).where(gateway_workers.c.lease_until > _NOW)
    return (
        select(func.count())
        .select_from(tunnels)
        .where(tunnels.c.gateway_id.in_(alive), column == bindparam("of"))
    )


_ON_ENDPOINT: Final = _live_tunnels(tunnels.c.endpoint_id)
_OF_PRINCIPAL: Final = _live_tunnels(tunnels.c.maker_id)


def _counted(admitted: Admitted) -> list[tuple[Select[int], str]]:
    """What its quotas count, and by which queries."""
    on_endpoint = _ON_ENDPOINT, admitted.request.endpoint_id
    of_principal = _OF_PRINCIPAL, admitted.principal.maker_id
    return [on_endpoint, of_principal] if admitted.principal_quota else [on_endpoint]


def _refusal_outcome(refusal: Refusal, additional: dict[str, Any]) -> Outcome:
    return Outcome(error_code=refusal.error_code, error_message=refusal.message, additional=additional)
