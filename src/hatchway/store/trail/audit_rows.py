"""The audit trail's records, with the index of what they are found by.

`audit_lookups` has a row for each term of each event, in the order of time, so that a page of what has a term
is read from one place of one tree, however long the trail is. Such rows lie far apart: whoever enters a
record enters all its terms as one row of `audit_unindexed`, and those of many events are entered in
`audit_lookups` together, in its order (`hatchway.audit.lookup_fill`). Events are looked for in both.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Dialect,
    Integer,
    Select,
    Table,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    union,
    update,
)

from hatchway.domain.account import AuditRecord
from hatchway.store.prepared import Prepared
from hatchway.store.rows import Insertion, Rows, adding
from hatchway.store.tables import (
    audit_lookups,
    audit_lookups_filled,
    audit_records,
    audit_retention,
    audit_unexported,
    audit_unindexed,
)
from hatchway.store.trail.due_events import Due, Round, due_events, mark_exported, oldest_due
from hatchway.store.trail.event_bodies import Found, Place, events_at, that_fit
from hatchway.store.trail.term_lines import from_lines, to_lines

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_EARLIEST, _LATEST = (
    (each.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND for each in (datetime.min, datetime.max)
)

_records = audit_records.c
_lookups = audit_lookups.c
_unexported = audit_unexported.c
_unindexed = audit_unindexed.c
_retention = audit_retention.c
_MOST: Final = bindparam("most", type_=Integer)
_UNINDEXED: Final = (
    select(_unindexed.moment, _unindexed.event_id, _unindexed.terms)
    .order_by(_unindexed.moment, _unindexed.event_id)
    .limit(_MOST)
)

Entry = tuple[str, int, str]
"""A term, and the moment and the id of an event that it finds."""

_LOOKED_THROUGH: Final = 4000
"""Events that are not in `audit_lookups` yet, of one look-up: some milliseconds' work."""


class Page(NamedTuple):
    """Some of the events that are looked for, newest first.

    Attributes:
        end: a place in that order up to which these are all, and behind which there may be more; None where
            there are none.
    """

    found: list[Found]
    end: Place | None


class Unindexed(NamedTuple):
    """An event that is not in `audit_lookups` yet, and what it is to be found by."""

    moment: int
    event_id: str
    terms: tuple[str, ...]


def in_order_of_index(events: Iterable[Unindexed]) -> list[Entry]:
    """The rows in `audit_lookups` of events that come in the order of time."""
    places: dict[str, list[tuple[int, str]]] = {}
    for moment, event_id, terms in events:
        place = moment, event_id
        for term in terms:
            places.setdefault(term, []).append(place)
    return [(term, *place) for term in sorted(places) for place in places[term]]


def entries_of(time: datetime, event_id: str, terms: Iterable[str]) -> list[Entry]:
    """The rows of an event in `audit_lookups`."""
    moment = _moment(time)
    return [(term, moment, event_id) for term in terms]


class Retention(NamedTuple):
    """How long events are kept.

    Attributes:
        days: so many; None for ever.
        unexported_too: whether also those go that are not yet JSON lines.
        deleted_before: what was before this is gone; None when nothing is.
        at_once_at: what was set before this counts no longer; None where all does.
    """

    days: int | None
    unexported_too: bool
    deleted_before: datetime | None
    at_once_at: datetime | None = None


class AuditRows(Rows[AuditRecord]):
    """The audit records of one transaction."""

    def _insert(self, nouns: Iterable[AuditRecord], statement: Insertion) -> None:
        records = list(nouns)
        super()._insert(records, statement)
        self._await_export(records)
        self._await_index(records)

    def _await_export(self, records: Iterable[AuditRecord]) -> None:
        # Those of older programs are not entered again.
        due = [(record.event_time, record.event_id) for record in records if record.exported]
        if due:
            statement = adding(audit_unexported, ("event_time", "event_id"), self._connection.dialect)
            statement.run(self._connection, list(zip(*due, strict=True)))

    def _await_index(self, records: Iterable[AuditRecord]) -> None:
        due = [
            (_moment(each.event_time), each.event_id, to_lines(each.terms)) for each in records if each.terms
        ]
        if due:
            statement = adding(audit_unindexed, ("moment", "event_id", "terms"), self._connection.dialect)
            statement.run(self._connection, list(zip(*due, strict=True)))

    def unexported(self, limit: int, of: Round | None = None) -> Due:
        """Some events that are not yet JSON lines, in the order of time (`due_events`)."""
        return due_events(self, limit, of)

    def oldest_unexported(self) -> datetime | None:
        """The time of the oldest of them; None when there is none."""
        return oldest_due(self)

    def mark_exported(self, events: Sequence[Found]) -> None:
        """Notes that these events, which come in the order of time, have been written as JSON lines."""
        if events:
            mark_exported(self._connection, events)

    def unindexed(self, limit: int) -> list[Unindexed]:
        """The oldest events that are not in `audit_lookups` yet, in the order of time."""
        return [
            Unindexed(moment, event_id, from_lines(lines))
            for moment, event_id, lines in self.rows(_UNINDEXED, most=limit)
        ]

    def mark_indexed(self, events: Sequence[Unindexed]) -> None:
        """Notes that these events, which come in the order of time, are in `audit_lookups` with all terms.

        Of those that retention has taken meanwhile nothing stays there.
        """
        ids = [event.event_id for event in events]
        # First: whoever takes some of them has done so by then, or begins with these rows and waits.
        self._forget_unindexed(events[0].moment, events[-1].moment, ids)
        there = {row[0] for row in self.rows(select(_records.event_id).where(_records.event_id.in_(ids)))}
        self._forget_entries(
            (term, event.moment, event.event_id)
            for event in events
            if event.event_id not in there
            for term in event.terms
        )

    def index(self, entries: Iterable[Entry]) -> None:
        """Enters what events are found by. Twice is as once."""
        columns = list(zip(*entries, strict=True))
        if columns:
            statement = adding(audit_lookups, ("term", "moment", "event_id"), self._connection.dialect)
            statement.run(self._connection, columns)

    def newest(
        self,
        term: str | None,
        *,
        since: datetime | None,
        until: datetime | None,
        before: Place | None,
        limit: int,
    ) -> Page:
        """Of the newest events, those that have a term when one is given: not all that there is room for,
        where looking for them would take long.

        Args:
            since, until: bounds of their time; the latter is no longer within.
            before: a place that all of them come after in this order.
            limit: how many there may be.
        """
        if term is None:
            query = _page(_records.event_time, _records.event_id, since, until, before).limit(limit)
            places = self._places(query)
            some = that_fit(self, places)
            whole = len(some) == len(places) < limit
            return Page(sorted(events_at(self, some), reverse=True), None if whole else some[-1])
        span = _Span(
            None if since is None else _moment(since),
            None if until is None else _moment(until),
            None if before is None else (_moment(before[0]), before[1]),
        )
        recent = span.newest_first(audit_unindexed)
        last = self.rows(recent.offset(_LOOKED_THROUGH - 1).limit(1))
        end: tuple[int, str] | None = (last[0][0], last[0][1]) if last else None
        of_recent = span.newest_first(audit_unindexed, down_to=end).where(self._has(term))
        of_index = span.newest_first(audit_lookups, down_to=end).where(_lookups.term == term)
        # One statement: what is entered in the index meanwhile is in one of them.
        both = union(*(select(each.limit(limit).subquery()) for each in (of_recent, of_index))).subquery()
        newest_first = select(both).order_by(both.c.moment.desc(), both.c.event_id.desc())
        places = [(_time(row[0]), row[1]) for row in self.rows(newest_first.limit(limit))]
        some = that_fit(self, places)
        last_place = None if end is None else (_time(end[0]), end[1])
        if len(some) < len(places) or len(places) == limit:
            last_place = some[-1]
        # An entry may lead to no event, or to one of another time: retention has taken it, or who had a
        # gateway's role when PostgreSQL did not look at entries yet has entered it.
        these = {each[:2]: each for each in events_at(self, some)}
        return Page([these[place] for place in some if place in these], last_place)

    def _has(self, term: str) -> ColumnElement[bool]:
        """Whether an event that is not in `audit_lookups` yet has a term."""
        place = func.instr if self._connection.dialect.name == "sqlite" else func.strpos
        return place(_unindexed.terms, to_lines([term])) > 0

    def _places(self, query: Select[Any]) -> list[Place]:
        return [(row[0], row[1]) for row in self.rows(query)]

    def all_indexed(self, since: datetime, until: datetime, any_of: Sequence[str]) -> bool:
        """Whether all events from a moment on and before another are found by terms; each that is has one of
        `any_of`."""
        ids = union(*_ids_with_terms(since, until, any_of)).subquery()
        times = _records.event_time >= since, _records.event_time < until
        events = select(func.count()).select_from(audit_records).where(*times)
        return bool(self.scalar(events) == self.scalar(select(func.count()).select_from(ids)))

    def without_terms(
        self, after: Place, until: datetime, any_of: Sequence[str], look_at: int
    ) -> tuple[list[Found], Place | None]:
        """Of so many events that come after a place, in the order of time, those that no term finds: as older
        programs enter them.

        Returns:
            Also the place up to which these are all; None when there are no more before `until`.
        """
        time, event_id = _records.event_time, _records.event_id
        later = time >= after[0], or_(time > after[0], event_id > after[1]), time < until
        query = select(time, event_id).where(*later).order_by(time, event_id)
        places = self._places(query.limit(look_at))
        if not places:
            return [], None
        last = places[-1]
        with_terms = _ids_with_terms(places[0][0], last[0] + _MICROSECOND, any_of)
        known = {row[0] for ids in with_terms for row in self.rows(ids)}
        missing = [place for place in places if place[1] not in known]
        some = that_fit(self, missing)
        if len(some) < len(missing):
            return events_at(self, some), some[-1]
        return events_at(self, some), last if len(places) == look_at else None

    def filled_back_to(self) -> datetime | None:
        """From when on events have terms, but for those of older programs; None when all do."""
        moment = self.scalar(select(audit_lookups_filled.c.back_to))
        return None if moment == 0 else _time(moment)

    def newest_time(self) -> datetime | None:
        """When the newest event was; None where there is none."""
        moment: datetime | None = self._connection.execute(select(func.max(_records.event_time))).scalar_one()
        return moment

    def retention(self, *, held: bool = False) -> Retention:
        """`held`: until the end of this transaction nobody says otherwise."""
        query = select(
            _retention.days, _retention.unexported_too, _retention.deleted_before, _retention.at_once_at
        )
        return Retention(*self._connection.execute(query.with_for_update() if held else query).one())

    def set_retention(
        self, days: int | None, *, unexported_too: bool, at_once_at: datetime | None = None
    ) -> None:
        """`at_once_at` is the moment, where it is not to be waited for what was set before."""
        values: dict[str, Any] = {"days": days, "unexported_too": unexported_too}
        if at_once_at is not None:
            values["at_once_at"] = at_once_at
        self._connection.execute(update(audit_retention).values(values))

    def expired(self, before: datetime, limit: int, *, unexported_too: bool) -> list[Found]:
        """The oldest events of before a moment that may go, in the order of time.

        The oldest that is not exported yet bounds those that may go: no look at a trail that is exported
        nowhere takes reading all of it.
        """
        if not unexported_too and (due := self.oldest_unexported()) is not None:
            before = min(before, due)
        query = select(_records.event_time, _records.event_id).where(_records.event_time < before)
        places = self._places(query.order_by(_records.event_time).limit(limit))
        return sorted(events_at(self, that_fit(self, places)))

    def delete_expired(self, events: Sequence[tuple[datetime, str, Sequence[str]]]) -> None:
        """Deletes events, of each its time, its id and its terms, in the order of time."""
        ids = [event_id for _, event_id, _ in events]
        # First: who enters some of them in the index looks afterwards if they are there (`mark_indexed`).
        self._forget_unindexed(_moment(events[0][0]), _moment(events[-1][0]), ids)
        self._forget_entries(entry for event in events for entry in entries_of(*event))
        times = _unexported.event_time.between(events[0][0], events[-1][0])
        self._connection.execute(delete(audit_unexported).where(times, _unexported.event_id.in_(ids)))
        self._connection.execute(delete(audit_records).where(_records.event_id.in_(ids)))
        gone = events[-1][0] + _MICROSECOND
        later = or_(_retention.deleted_before.is_(None), _retention.deleted_before < gone)
        self._connection.execute(update(audit_retention).where(later).values(deleted_before=gone))

    def _forget_unindexed(self, first: int, last: int, ids: Sequence[str]) -> None:
        moments = _unindexed.moment.between(first, last)
        self._connection.execute(delete(audit_unindexed).where(moments, _unindexed.event_id.in_(ids)))

    def _forget_entries(self, entries: Iterable[Entry]) -> None:
        columns = list(zip(*entries, strict=True))
        if columns:
            _forget(self._connection.dialect).run(self._connection, columns)

    def note_filled(self, back_to: datetime | None) -> None:
        """Notes from when on events have terms now; None: all have."""
        moment = 0 if back_to is None else _moment(back_to)
        self._connection.execute(update(audit_lookups_filled).values(back_to=moment))


def _page(
    time: Any, event_id: Any, since: Any | None, until: Any | None, before: tuple[Any, str] | None
) -> Select[Any]:
    conditions = []
    if since is not None:
        conditions.append(time >= since)
    if until is not None:
        conditions.append(time < until)
    if before is not None:
        # The first is what the other implies, and what an index is searched by.
        conditions += [
            time <= before[0],
            or_(time < before[0], and_(time == before[0], event_id < before[1])),
        ]
    return select(time, event_id).where(*conditions).order_by(time.desc(), event_id.desc())


class _Span(NamedTuple):
    """From a moment on, before another, and after a place in the order of newest first; any may be None."""

    since: int | None
    until: int | None
    before: tuple[int, str] | None

    def newest_first(self, table: Table, down_to: tuple[int, str] | None = None) -> Select[Any]:
        """The moments and ids of a table within it, down to a place when one is given."""
        moment, event_id = table.c.moment, table.c.event_id
        query = _page(moment, event_id, *self)
        if down_to is None:
            return query
        last, last_id = down_to
        return query.where(moment >= last, or_(moment > last, event_id >= last_id))


def _ids_with_terms(since: datetime, until: datetime, any_of: Sequence[str]) -> list[Select[Any]]:
    """Two queries for the ids of the events in some time that are found by terms, one of `any_of` each."""
    first, end = _moment(since), _moment(until)
    return [
        select(table.c.event_id).where(table.c.moment >= first, table.c.moment < end, *those)
        for table, those in ((audit_lookups, [_lookups.term.in_(any_of)]), (audit_unindexed, []))
    ]


def _moment(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(moment: int) -> datetime:
    """Whatever somebody has entered: the earliest or the latest that there is of what is none."""
    return _EPOCH + timedelta(microseconds=max(_EARLIEST, min(moment, _LATEST)))


@lru_cache(maxsize=2)
def _forget(dialect: Dialect) -> Prepared:
    """Deletes entries of the index, each by its whole key: to look for them otherwise takes reading all."""
    names = ("term", "moment", "event_id")
    key: list[Any] = [_lookups[name] == bindparam(f"{name}_", type_=_lookups[name].type) for name in names]
    return Prepared(delete(audit_lookups).where(*key), [f"{name}_" for name in names], dialect)
