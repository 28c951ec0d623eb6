"""Deletes events that are older than they are to be kept, with what they are found by.

In portions, each a short transaction of its own: nobody who writes waits long, and one that is killed in the
middle goes on where it was. What is not yet a line of audit.jsonl stays, unless it was said that it goes too.
A clock that has jumped deletes nothing (`steady_clock`).
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hatchway.audit.steady_clock import SteadyClock
from hatchway.audit.stored_events import read_terms
from hatchway.store import Store

_AT_ONCE: Final = 200
"""Events of one transaction."""
_PORTIONS: Final = 5
"""Of which there are so many in one run."""


class RetentionRun:
    """One control plane's. Of several that run at once, each deletes what it finds."""

    def __init__(self, store: Store, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._clock = SteadyClock(clock, monotonic)

    def run(self) -> int:
        """Deletes some of what is to go; how many events. A thousand at most, which takes a part of a second.

        Raises:
            Exception: the store cannot be read or written; what was deleted before is.
        """
        deleted = 0
        for _ in range(_PORTIONS):
            with self._store.read() as tx:
                kept = tx.audit_records.retention()
                if kept.days is None:
                    break
                now = self._clock.now(tx.audit_records.newest_time)
                if now is None:
                    break
                before = now - timedelta(days=kept.days)
                some = tx.audit_records.expired(before, _AT_ONCE, unexported_too=kept.unexported_too)
            if not some:
                break
            # Worked out before the store is locked.
            gone = [(each.event_time, each.event_id, read_terms(each.body)) for each in some]
            with self._store.record() as tx:
                # It may have been changed meanwhile.
                if tx.audit_records.retention(held=True)[:2] != kept[:2]:
                    break
                tx.audit_records.delete_expired(gone)
            deleted += len(gone)
        return deleted
