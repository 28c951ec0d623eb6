"""Enters what events are found by, of those that are without: of older programs.

From the newest back, in portions, each a short transaction of its own: a trail of millions of events is not
read in one go, and nobody who writes waits long.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hatchway.audit.stored_events import read_terms
from hatchway.audit.terms import READ_ONLY
from hatchway.store import Store

_AT_ONCE: Final = 200
"""Events of one transaction."""
_PORTIONS: Final = 5
"""Of which there are so many in one run."""
_OVERLAP: Final = timedelta(minutes=5)
"""How much later than its time a record may come to be: calls wait for a lock, and clocks differ."""
_MICROSECOND: Final = timedelta(microseconds=1)


class LookupFill:
    """One control plane's."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._looked_until: datetime | None = None

    def fill(self) -> int:
        """Goes on with the events of before there were terms; how many it has entered."""
        filled = 0
        for _ in range(_PORTIONS):
            with self._store.read() as tx:
                back_to = tx.audit_records.filled_back_to()
                if back_to is None:
                    break
                some = tx.audit_records.some_before(back_to, _AT_ONCE)
            with self._store.record() as tx:
                tx.audit_records.index(
                    (each.event_time, each.event_id, read_terms(each.body)) for each in some
                )
                last = len(some) < _AT_ONCE
                tx.audit_records.note_filled(None if last else some[-1].event_time - _MICROSECOND)
            filled += len(some)
        return filled

    def catch_up(self) -> int:
        """Enters the events of processes of an older program that still run; how many there were."""
        now = self._clock()
        # A clock that was ahead hides nothing that comes after it was put right.
        since = min(self._looked_until or now, now) - _OVERLAP
        with self._store.read() as tx:
            missing = tx.audit_records.unindexed(since, READ_ONLY, _AT_ONCE * _PORTIONS)
        found = [(each.event_time, each.event_id, read_terms(each.body)) for each in missing]
        # Of what is no event there is nothing to enter.
        if any(terms for _, _, terms in found):
            with self._store.record() as tx:
                tx.audit_records.index(found)
        if len(missing) < _AT_ONCE * _PORTIONS:
            self._looked_until = now
        return len(missing)
