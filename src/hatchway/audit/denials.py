"""What was refused, found in the audit trail: by its request's id, or as somebody's latest."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, Final

from sqlalchemy import and_, func, or_, select

from hatchway.audit.stored_events import Event, read_event
from hatchway.store import Transaction
from hatchway.store.tables import audit_records
from hatchway.store.trail.event_bodies import events_at, that_fit

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
    """The events of a request, or its newest where they are many or large, the one that says most of why it
    ended as it did first.

    That is a denial, rather one with a decision, rather the latest.
    """
    found = next(_newest(tx, audit_records.c.request_id == request_id), [])
    return sorted(found, key=lambda event: (not is_denial(event), not has_decision(event)))


def events_beginning(
    tx: Transaction, beginning: str, *conditions: Any, newest: int | None = None
) -> list[Event]:
    """The latest events of requests whose ids begin so, each request's as `events_of` has them.

    Args:
        conditions, newest: as `last_denial` has them.
    """
    column = audit_records.c
    begun = column.request_id.startswith(beginning, autoescape=True)
    found = next(_newest(tx, begun, *conditions, *_among_the_newest(newest)), [])
    return sorted(found, key=lambda event: (not is_denial(event), not has_decision(event)))


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
    found = _newest(
        tx,
        or_(refused, stopped, cut),
        column.event_name != EXPLAIN_DENIAL,
        *conditions,
        *_among_the_newest(newest),
    )
    each = chain.from_iterable(found)
    return next((event for event in each if is_denial(event) and is_theirs(event)), None)


def _newest(tx: Transaction, *conditions: Any) -> Iterator[list[Event]]:
    """The newest events of which that holds, but for texts that are none: portions that fit into memory."""
    column, rows = audit_records.c, tx.audit_records
    newest_first = select(column.event_time, column.event_id).order_by(column.event_time.desc())
    places = [(row[0], row[1]) for row in rows.rows(newest_first.where(*conditions).limit(_CANDIDATES))]
    while places:
        some = that_fit(rows, places)
        places = places[len(some) :]
        events = (read_event(each.body) for each in sorted(events_at(rows, some), reverse=True))
        yield [event for event in events if event is not None]


def _among_the_newest(newest: int | None) -> list[Any]:
    if newest is None:
        return []
    time = audit_records.c.event_time
    times = select(time).order_by(time.desc()).limit(newest).subquery()
    return [time >= select(func.min(times.c.event_time)).scalar_subquery()]
