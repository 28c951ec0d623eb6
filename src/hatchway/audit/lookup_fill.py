"""Enters what events are found by where it is found however long the trail is.

Those that are recorded now wait in a table with their terms, where they are found too, until there are many:
to enter one by itself takes as much as all else that its record does. Those of older programs are without:
from the newest back, in portions. Each is a short transaction of its own, so nobody who writes waits long.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from hatchway.audit.stored_events import read_terms
from hatchway.audit.terms import READ_ONLY
from hatchway.store import Store
from hatchway.store.trail.audit_rows import Entry, entries_of, in_order_of_index
from hatchway.store.trail.event_bodies import Found, Place

_TOGETHER: Final = 2000
"""Events that are entered together, in the order of the index: so neighbours there are written once."""
_LONGEST_WAIT: Final = 20.0
"""Seconds after which fewer are entered too. Control planes of before find what is entered."""
_ENTRIES: Final = 2000
"""Entries of one transaction."""
_AT_ONCE: Final = 200
"""Events without terms of one transaction."""
_PORTIONS: Final = 5
"""Of which there are so many in one run."""
_LOOKED_AT: Final = 10_000
"""Events of one look for those without terms."""
_OVERLAP: Final = timedelta(minutes=5)
"""How much later than its time a record may come to be: calls wait for a lock, and clocks differ."""
_MICROSECOND: Final = timedelta(microseconds=1)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)

_Each = TypeVar("_Each")


class LookupFill:
    """One control plane's."""

    def __init__(self, store: Store, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._entered_at = monotonic()
        self._looked_until: datetime | None = None
        self._began: datetime | None = None
        self._place: Place | None = None
        self._filled: Place | None = None

    def enter(self) -> int:
        """Enters events that wait with their terms, where many do or some have for long; how many."""
        entered = 0
        for _ in range(_PORTIONS):
            with self._store.read() as tx:
                some = tx.audit_records.unindexed(_TOGETHER)
            now = self._monotonic()
            if not some or (len(some) < _TOGETHER and now - self._entered_at < _LONGEST_WAIT):
                break
            # Twice is as once: what is cut short is done again.
            for portion in _portions(in_order_of_index(some), _ENTRIES):
                with self._store.record() as tx:
                    tx.audit_records.index(portion)
            with self._store.record() as tx:
                tx.audit_records.mark_indexed(some)
            self._entered_at = now
            entered += len(some)
        return entered

    def fill(self) -> int:
        """Goes on with the events of before there were terms; how many it has entered.

        Who goes on after another begins with the last moment that it has come to.
        """
        filled = 0
        for _ in range(_PORTIONS):
            with self._store.read() as tx:
                back_to = tx.audit_records.filled_back_to()
                if back_to is None:
                    break
                some, end = tx.audit_records.newest(
                    None,
                    since=None,
                    until=None if back_to == _LATEST else back_to + _MICROSECOND,
                    before=self._filled if self._filled and self._filled[0] == back_to else None,
                    limit=_AT_ONCE,
                )
            entries = _entries_of(some)
            with self._store.record() as tx:
                tx.audit_records.index(entries)
                tx.audit_records.note_filled(None if end is None else end[0])
            self._filled = end
            filled += len(some)
        return filled

    def catch_up(self) -> int:
        """Enters the events of processes of an older program that still run; how many there were.

        What comes to be in some minutes is gone through a part at a time, each event once: texts that are no
        events, of which there is nothing to enter, hide none that come after.
        """
        now = self._clock()
        until = now + _OVERLAP
        if self._place is None:
            self._began = now
            # A clock that was ahead hides nothing that comes after it was put right.
            since = min(self._looked_until or now, now) - _OVERLAP
            with self._store.read() as tx:
                if tx.audit_records.all_indexed(since, until, READ_ONLY):
                    self._looked_until = now
                    return 0
            self._place = since, ""
        entered = 0
        for _ in range(_PORTIONS):
            with self._store.read() as tx:
                missing, self._place = tx.audit_records.without_terms(
                    self._place, until, READ_ONLY, _LOOKED_AT
                )
            for portion in _portions(missing, _AT_ONCE):
                if entries := _entries_of(portion):
                    with self._store.record() as tx:
                        tx.audit_records.index(entries)
            entered += len(missing)
            if self._place is None:
                self._looked_until = self._began
                break
        return entered


def _portions(some: Sequence[_Each], most: int) -> Iterator[Sequence[_Each]]:
    return (some[first : first + most] for first in range(0, len(some), most))


def _entries_of(events: Iterable[Found]) -> list[Entry]:
    return [
        entry
        for each in events
        for entry in entries_of(each.event_time, each.event_id, read_terms(each.body))
    ]
