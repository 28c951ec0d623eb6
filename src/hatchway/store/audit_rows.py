"""The audit trail's records, with the index of what they are found by.

Whoever enters a record enters its terms with it: `audit_lookups` has a row for each, in the order of time, so
that a page of what has a term is read from one place of one tree, however long the trail is.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Dialect,
    Integer,
    Select,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
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
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_records = audit_records.c
_lookups = audit_lookups.c
_unexported = audit_unexported.c
_retention = audit_retention.c
_MOST: Final = bindparam("most", type_=Integer)
_DUE: Final = (
    select(_unexported.event_time, _unexported.event_id, _records.body)
    .join_from(audit_unexported, audit_records, _records.event_id == _unexported.event_id)
    .order_by(_unexported.event_time, _unexported.event_id)
    .limit(_MOST)
)
_FORMERLY_DUE: Final = (
    select(_records.event_time, _records.event_id, _records.body)
    .where(_records.exported.is_(False))
    .order_by(_records.event_time, _records.event_id)
    .limit(_MOST)
)
"""Records of programs of before `audit_unexported`."""


class Found(NamedTuple):
    """An event's place in the trail, newest first, and its JSON text."""

    event_time: datetime
    event_id: str
    body: str


class Retention(NamedTuple):
    """How long events are kept.

    Attributes:
        days: so many; None for ever.
        unexported_too: whether also those go that are not yet JSON lines.
        deleted_before: what was before this is gone; None when nothing is.
    """

    days: int | None
    unexported_too: bool
    deleted_before: datetime | None


class AuditRows(Rows[AuditRecord]):
    """The audit records of one transaction."""

    def _insert(self, nouns: Iterable[AuditRecord], statement: Insertion) -> None:
        records = list(nouns)
        super()._insert(records, statement)
        self._await_export(records)
        self.index((record.event_time, record.event_id, record.terms) for record in records)

    def _await_export(self, records: Iterable[AuditRecord]) -> None:
        # Those of older programs are not entered again.
        due = [(record.event_time, record.event_id) for record in records if record.exported]
        if due:
            statement = adding(audit_unexported, ("event_time", "event_id"), self._connection.dialect)
            statement.run(self._connection, list(zip(*due, strict=True)))

    def unexported(self, limit: int) -> list[Found]:
        """The oldest events that are not yet JSON lines, in the order of time."""
        found = [Found(*row) for query in (_DUE, _FORMERLY_DUE) for row in self.rows(query, most=limit)]
        return sorted(found)[:limit]

    def mark_exported(self, events: Sequence[Found]) -> None:
        """Notes that these events have been written as JSON lines."""
        if not events:
            return
        ids = [event.event_id for event in events]
        # Indexes are searched by times.
        first, last = events[0].event_time, events[-1].event_time
        due = _unexported.event_time.between(first, last), _unexported.event_id.in_(ids)
        self._connection.execute(delete(audit_unexported).where(*due))
        former = _records.exported.is_(False), _records.event_time.between(first, last)
        mark = update(audit_records).where(*former, _records.event_id.in_(ids))
        self._connection.execute(mark.values(exported=True))

    def index(self, events: Iterable[tuple[datetime, str, Sequence[str]]]) -> None:
        """Enters what events are found by: their times, ids and terms. Twice is as once."""
        terms: list[str] = []
        moments: list[int] = []
        ids: list[str] = []
        for time, event_id, some in events:
            terms += some
            moments += [_moment(time)] * len(some)
            ids += [event_id] * len(some)
        if not terms:
            return
        statement = adding(audit_lookups, ("term", "moment", "event_id"), self._connection.dialect)
        statement.run(self._connection, [terms, moments, ids])

    def newest(
        self,
        term: str | None,
        *,
        since: datetime | None,
        until: datetime | None,
        before: tuple[datetime, str] | None,
        limit: int,
    ) -> list[Found]:
        """The newest events, those that have a term when one is given.

        Args:
            since, until: bounds of their time; the latter is no longer within.
            before: the time and id of an event that all of them come after in this order.
        """
        if term is None:
            query = _page(_records.event_time, _records.event_id, since, until, before)
            query = query.add_columns(_records.body).limit(limit)
            return [Found(*row) for row in self._connection.execute(query)]
        found: list[Found] = []
        place = None if before is None else (_moment(before[0]), before[1])
        while len(found) < limit:
            entries = self._entries(term, since=since, until=until, before=place, limit=limit)
            # Who has a gateway's role may enter what leads to no event, or to one of another time.
            known = set(entries)
            these = self._these([event_id for _, event_id in entries])
            found += [each for each in these if (_moment(each.event_time), each.event_id) in known]
            if len(entries) < limit:
                break
            place = entries[-1]
        return found[:limit]

    def _entries(
        self,
        term: str,
        *,
        since: datetime | None,
        until: datetime | None,
        before: tuple[int, str] | None,
        limit: int,
    ) -> list[tuple[int, str]]:
        first, end = (None if each is None else _moment(each) for each in (since, until))
        query = _page(_lookups.moment, _lookups.event_id, first, end, before)
        rows = self._connection.execute(query.where(_lookups.term == term).limit(limit))
        return [(moment, event_id) for moment, event_id in rows]

    def _these(self, ids: Sequence[str]) -> list[Found]:
        query = select(_records.event_time, _records.event_id, _records.body)
        rows = self._connection.execute(query.where(_records.event_id.in_(ids)))
        return sorted((Found(*row) for row in rows), reverse=True)

    def unindexed(self, since: datetime, any_of: Sequence[str], limit: int) -> list[Found]:
        """Events from a moment on that are without terms, as older programs enter them.

        `any_of` are terms one of which each event has that has any.
        """
        recent = _records.event_time >= since
        indexed = and_(_lookups.term.in_(any_of), _lookups.moment >= _moment(since))
        count = select(func.count())
        if self.scalar(count.select_from(audit_records).where(recent)) == self.scalar(
            count.select_from(audit_lookups).where(indexed)
        ):
            return []
        known = {row[0] for row in self.rows(select(_lookups.event_id).where(indexed))}
        ids = self.rows(select(_records.event_id).where(recent).order_by(_records.event_time))
        return self._these([row[0] for row in ids if row[0] not in known][:limit])

    def filled_back_to(self) -> datetime | None:
        """From when on events have terms, but for those of older programs; None when all do."""
        moment = self.scalar(select(audit_lookups_filled.c.back_to))
        return None if moment == 0 else _time(moment)

    def some_before(self, time: datetime, limit: int) -> list[Found]:
        """The newest events of a moment and before: about so many, and all of the last one's moment."""
        query = select(_records.event_time, _records.event_id, _records.body)
        some = query.where(_records.event_time <= time).order_by(_records.event_time.desc()).limit(limit)
        found = {Found(*row) for row in self._connection.execute(some)}
        if len(found) == limit:
            last = min(each.event_time for each in found)
            found |= {
                Found(*row) for row in self._connection.execute(query.where(_records.event_time == last))
            }
        return sorted(found, reverse=True)

    def newest_time(self) -> datetime | None:
        """When the newest event was; None where there is none."""
        moment: datetime | None = self._connection.execute(select(func.max(_records.event_time))).scalar_one()
        return moment

    def retention(self, *, held: bool = False) -> Retention:
        """`held`: until the end of this transaction nobody says otherwise."""
        query = select(_retention.days, _retention.unexported_too, _retention.deleted_before)
        return Retention(*self._connection.execute(query.with_for_update() if held else query).one())

    def set_retention(self, days: int | None, *, unexported_too: bool) -> None:
        values = {"days": days, "unexported_too": unexported_too}
        self._connection.execute(update(audit_retention).values(values))

    def expired(self, before: datetime, limit: int, *, unexported_too: bool) -> list[Found]:
        """The oldest events of before a moment that may go, in the order of time.

        In that order they are exported, too. So the oldest that is not yet bounds those that may go, and no
        look at a trail that is exported nowhere takes reading all of it.
        """
        if not unexported_too and (due := self.unexported(1)):
            before = min(before, due[0].event_time)
        query = select(_records.event_time, _records.event_id, _records.body).where(
            _records.event_time < before
        )
        rows = self._connection.execute(query.order_by(_records.event_time).limit(limit))
        return sorted(Found(*row) for row in rows)

    def delete_expired(self, events: Sequence[tuple[datetime, str, Sequence[str]]]) -> None:
        """Deletes events, of each its time, its id and its terms, in the order of time."""
        ids = [event_id for _, event_id, _ in events]
        entries = [(term, _moment(time), event_id) for time, event_id, terms in events for term in terms]
        if entries:
            columns = list(zip(*entries, strict=True))
            _forget(self._connection.dialect).run(self._connection, columns)
        times = _unexported.event_time.between(events[0][0], events[-1][0])
        self._connection.execute(delete(audit_unexported).where(times, _unexported.event_id.in_(ids)))
        self._connection.execute(delete(audit_records).where(_records.event_id.in_(ids)))
        gone = events[-1][0] + _MICROSECOND
        later = or_(_retention.deleted_before.is_(None), _retention.deleted_before < gone)
        self._connection.execute(update(audit_retention).where(later).values(deleted_before=gone))

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


def _moment(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND


def _time(moment: int) -> datetime:
    most = datetime.max.replace(tzinfo=UTC)
    return min(most, _EPOCH + timedelta(microseconds=min(moment, _moment(most))))


@lru_cache(maxsize=2)
def _forget(dialect: Dialect) -> Prepared:
    """Deletes entries of the index, each by its whole key: to look for them otherwise takes reading all."""
    names = ("term", "moment", "event_id")
    key: list[Any] = [_lookups[name] == bindparam(f"{name}_", type_=_lookups[name].type) for name in names]
    return Prepared(delete(audit_lookups).where(*key), [f"{name}_" for name in names], dialect)
