"""What was refused, found in the audit trail: by its request's id, or as somebody's latest."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from sqlalchemy import and_, func, or_, select

from hatchway.audit.stored_events import Event, read_event
from hatchway.domain.account import AuditRecord
from hatchway.store import Transaction
from hatchway.store.tables import audit_records

EXPLAIN_DENIAL: Final = "ExplainDenial"
"""The event of asking for a denial. Whoever is refused that asks for the one before it."""

NEWEST: Final = 20_000
"""Events that are looked through for somebody who asks over the network: a moment's work."""

_CANDIDATES: Final = 50


def is_denial(event: Event) -> bool:
    """Whether it tells of a call that was refused, or of a tunnel that the network or changed policies ended.

    Of a tunnel that was ended by an administrator nobody decided anything.
    """
    additional = event.get("additionalEventData") or {}
    return bool(event.get("errorCode")) or "network" in additional or "revocation" in additional


def events_of(tx: Transaction, request_id: str) -> list[Event]:
    """The events of a request, the one that says most of why it ended as it did first.

    That is a denial, rather one with a decision, rather the latest.
    """
    records = tx.audit_records.find(request_id=request_id, order=[audit_records.c.event_time.desc()])
    return sorted(_read(records), key=lambda event: (not is_denial(event), not has_decision(event)))


def events_beginning(
    tx: Transaction, beginning: str, *conditions: Any, newest: int | None = None
) -> list[Event]:
    """The latest events of requests whose ids begin so, each request's as `events_of` has them.

    Args:
        conditions, newest: as `last_denial` has them.
    """
    column = audit_records.c
    records = tx.audit_records.find(
        column.request_id.startswith(beginning, autoescape=True),
        *conditions,
        *_among_the_newest(newest),
        order=[column.event_time.desc()],
        limit=_CANDIDATES,
    )
    return sorted(_read(records), key=lambda event: (not is_denial(event), not has_decision(event)))


def has_decision(event: Event) -> bool:
    """Whether it tells what policies decided."""
    additional = event.get("additionalEventData") or {}
    return "decision" in additional or "decision" in additional.get("revocation", {})


def last_denial(
    tx: Transaction,
    is_theirs: Callable[[Event], bool],
    *conditions: Any,
    newest: int | None = None,
) -> Event | None:
    """The latest denial that is somebody's.

    Args:
        conditions: SQL conditions on the table of events that leave less to look through.
        newest: how many of the newest events are looked through; None for all.
    """
    column = audit_records.c
    # In JSON no text can hold an unescaped quotation mark, so these are names of members.
    body = column.body
    refused = body.contains('"errorCode":')
    stopped = and_(column.event_name == "OpenTunnel", body.contains('"network":'))
    cut = and_(column.event_name == "CloseTunnel", body.contains('"revocation":'))
    records = tx.audit_records.find(
        or_(refused, stopped, cut),
        column.event_name != EXPLAIN_DENIAL,
        *conditions,
        *_among_the_newest(newest),
        order=[column.event_time.desc()],
        limit=_CANDIDATES,
    )
    return next((event for event in _read(records) if is_denial(event) and is_theirs(event)), None)


def _read(records: Iterable[AuditRecord]) -> Iterator[Event]:
    """Their events, but for texts that are none."""
    for record in records:
        event = read_event(record.body)
        if event is not None:
            yield event


def _among_the_newest(newest: int | None) -> list[Any]:
    if newest is None:
        return []
    time = audit_records.c.event_time
    times = select(time).order_by(time.desc()).limit(newest).subquery()
    return [time >= select(func.min(times.c.event_time)).scalar_subquery()]
