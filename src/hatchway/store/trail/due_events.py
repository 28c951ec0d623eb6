"""The events that are not yet JSON lines, of which some are taken at a time.

As a rule all that are due are taken at once. Where more are, whoever has a gateway's role in PostgreSQL may
have entered them, and says of what time they are: in that order, old ones of his would keep all others
waiting for as long as he goes on. So they are taken round by round there: all that were due at one moment, in
the order of time, and then those that came meanwhile.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from hatchway.store.columns import UtcDateTime
from hatchway.store.rows import Rows
from hatchway.store.tables import audit_records, audit_unexported
from hatchway.store.trail.event_bodies import EARLIEST, Found, Place, events_at, that_fit

_records = audit_records.c
_unexported = audit_unexported.c
_AFTER: Final = bindparam("after", type_=UtcDateTime), bindparam("after_id", type_=Text)
_MOST: Final = bindparam("most", type_=Integer)
_SNAPSHOT: Final = select(cast(func.pg_catalog.txid_current_snapshot(), Text))
_NUMBERS: Final = 1 << 32
"""A row says by which transaction it is, by the lower half of its number."""
_LOOKED_AT: Final = 2000
"""Rows of one look for those of a round: some milliseconds' work."""


class Round(NamedTuple):
    """The events that were due at one moment.

    Attributes:
        end: the number of the first transaction that began later.
        running: the lower halves of the numbers of those that had not ended.
        after: the place up to which they have been taken.
    """

    end: int
    running: frozenset[int]
    after: Place


class Due(NamedTuple):
    """Some events that are due, in the order of time, and the round to go on with; None where none is under
    way."""

    events: list[Found]
    round: Round | None


def due_events(rows: Rows[Any], limit: int, of: Round | None) -> Due:
    """Some of those events: of a round that has begun, of which there may be none, or of all.

    Args:
        limit: how many there may be; fewer where they are large.
    """
    if of is None:
        begun = _begin(rows)
        oldest = [place for place, _ in _after(rows, (EARLIEST, ""), limit + 1)]
        some = that_fit(rows, oldest[:limit])
        if len(some) == len(oldest) or begun is None:
            return Due(_events(rows, some), None)
        of = begun
    seen = _after(rows, of.after, _LOOKED_AT)
    now = _begin(rows)
    begun_since = 0 if now is None else now.end - of.end
    theirs = [place for place, number in seen if _is_of(of, number, begun_since)]
    some = that_fit(rows, theirs[:limit])
    if len(some) < len(theirs):
        return Due(_events(rows, some), of._replace(after=some[-1]))
    return Due(_events(rows, some), of._replace(after=seen[-1][0]) if len(seen) == _LOOKED_AT else None)


def oldest_due(rows: Rows[Any]) -> datetime | None:
    """The time of the oldest that is due; None when none is."""
    oldest = _after(rows, (EARLIEST, ""), 1)
    return oldest[0][0][0] if oldest else None


def _events(rows: Rows[Any], places: Sequence[Place]) -> list[Found]:
    bodies = {each.event_id: each.body for each in events_at(rows, places)}
    return [Found(*place, bodies[place[1]]) for place in places if place[1] in bodies]


def mark_exported(connection: Connection, events: Sequence[Found]) -> None:
    """Notes that these events, which come in the order of time, have been written as JSON lines."""
    ids = [event.event_id for event in events]
    # Indexes are searched by times.
    first, last = events[0].event_time, events[-1].event_time
    due = _unexported.event_time.between(first, last), _unexported.event_id.in_(ids)
    connection.execute(delete(audit_unexported).where(*due))
    former = _records.exported.is_(False), _records.event_time.between(first, last)
    connection.execute(update(audit_records).where(*former, _records.event_id.in_(ids)).values(exported=True))


def _after(rows: Rows[Any], place: Place, most: int) -> list[tuple[Place, int]]:
    """The oldest that come after a place, each once, with the number of its transaction."""
    found: dict[Place, int] = {}
    for query in _queries(rows.dialect):
        for time, event_id, number in rows.rows(query, after=place[0], after_id=place[1], most=most):
            found[time, event_id] = number
    return sorted(found.items())[:most]


@cache
def _queries(dialect: str) -> list[Select[Any]]:
    """Those of programs of before the table are marked in their records."""
    mine = audit_records.join(audit_unexported, _records.event_id == _unexported.event_id)
    former = _records.exported.is_(False)
    return [
        _query(dialect, audit_unexported).select_from(mine),
        _query(dialect, audit_records).where(former),
    ]


def _query(dialect: str, table: Table) -> Select[Any]:
    time, event_id = table.c.event_time, table.c.event_id
    # The number is there without being a column, in PostgreSQL ("System Columns": xmin).
    number: Any = literal_column(f"{table.name}.xmin" if dialect == "postgresql" else "0")
    later = time >= _AFTER[0], or_(time > _AFTER[0], event_id > _AFTER[1])
    query = select(time, event_id, cast(cast(number, Text), BigInteger)).where(*later)
    return query.order_by(time, event_id).limit(_MOST)


def _begin(rows: Rows[Any]) -> Round | None:
    """A round that begins; None in SQLite, where nobody has a role.

    PostgreSQL: "System Information Functions", "Snapshot components": xmin:xmax:xip_list.
    """
    if rows.dialect != "postgresql":
        return None
    _, end, running = str(rows.scalar(_SNAPSHOT)).split(":")
    lower = frozenset(int(number) % _NUMBERS for number in running.split(",") if number)
    return Round(int(end), lower, (EARLIEST, ""))


def _is_of(round: Round, number: int, started: int) -> bool:
    """Whether what a transaction entered was there when a round began; `started` is how many have begun
    since."""
    return (number - round.end) % _NUMBERS >= started and number not in round.running
