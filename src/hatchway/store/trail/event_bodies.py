"""The texts of some events, of which no more are read at once than memory is for.

An event of the program's own has some kilobytes, rarely hundreds; who has a gateway's role in PostgreSQL may
enter any number of 2 MiB.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select

from hatchway.store.rows import Rows
from hatchway.store.tables import audit_records

Place = tuple[datetime, str]
"""The time and the id of an event."""
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
MOST_AT_ONCE: Final = 4 << 20
"""Bytes of texts that are read together, or one text alone: a thousand events, as they are."""

_records = audit_records.c


class Found(NamedTuple):
    """An event's place in the trail, newest first, and its JSON text."""

    event_time: datetime
    event_id: str
    body: str


def that_fit(rows: Rows[Any], places: Sequence[Place]) -> Sequence[Place]:
    """As many of the first as may be read at once; one at least."""
    # In bytes PostgreSQL knows it without reading them; this SQLite counts characters alone.
    size = func.octet_length if rows.dialect == "postgresql" else func.length
    query = select(_records.event_id, size(_records.body))
    sizes: dict[str, int] = dict(rows.rows(query.where(_in(places))))
    left = MOST_AT_ONCE
    for number, (_, event_id) in enumerate(places):
        left -= sizes.get(event_id, 0)
        if left < 0:
            return places[: max(number, 1)]
    return places


def events_at(rows: Rows[Any], places: Sequence[Place]) -> list[Found]:
    """The events of these ids, in no order."""
    query = select(_records.event_time, _records.event_id, _records.body)
    return [Found(*row) for row in rows.rows(query.where(_in(places)))] if places else []


def _in(places: Sequence[Place]) -> Any:
    return _records.event_id.in_([event_id for _, event_id in places])
