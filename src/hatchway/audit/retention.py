"""Deletes events that are older than they are to be kept, with what they are found by.

In portions, each a short transaction of its own: nobody who writes waits long, and one that is killed in the
middle goes on where it was. What is not yet a line of audit.jsonl stays, unless it was said that it goes too.
A clock that has jumped deletes nothing (`clock_jumps`), and what was to be kept for longer before goes a day
later: a slip can be taken back (`in_force`).
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from hatchway.audit.clock_jumps import JumpGuardedClock
from hatchway.audit.stored_events import read_event, read_terms
from hatchway.store import Retention, Store, Transaction
from hatchway.store.trail.event_bodies import Found, Place

GRACE: Final = timedelta(days=1)
"""For how long nothing goes that would have stayed by what held before."""
SET: Final = "SetAuditRetention"
"""The event by which it is set. Who has a gateway's role in PostgreSQL may enter others: they have events
kept for longer than is meant, until a day after the last of them, and none go."""
FOR_EVER: Final = "forever"
_MICROSECOND: Final = timedelta(microseconds=1)
_PAGE, _MOST_PAGES = 100, 20
"""Of events by which it was set within a day: more than anybody sets. Where there are more, all is kept."""
_AT_ONCE: Final = 200
"""Events of one transaction."""
_PORTIONS: Final = 5
"""Of which there are so many in one run."""


class InForce(NamedTuple):
    """How long events are kept for now.

    Attributes:
        days: so many; None for ever.
        unexported_too: whether also those go that are not yet JSON lines.
        until: when what was set last holds; None when it does.
    """

    days: int | None
    unexported_too: bool
    until: datetime | None


def in_force(tx: Transaction, kept: Retention, now: datetime) -> InForce:
    """The most cautious of what was set and of all that held within the grace before."""
    days, unexported_too, until = kept.days, kept.unexported_too, None
    since = now - GRACE if kept.at_once_at is None else max(now - GRACE, kept.at_once_at + _MICROSECOND)
    said = _said(tx, since, now + GRACE)
    if said is None:
        return InForce(None, False, now + GRACE)
    for each in said:
        event = read_event(each.body) or {}
        former = _part(event, "responseElements").get("former")
        if not isinstance(former, dict):
            continue
        before = _days(former.get("retention"))
        longer = days is not None and (before is None or before > days)
        if longer:
            days = before
        spares = unexported_too and former.get("unexportedToo") is False
        unexported_too = unexported_too and not spares
        if longer or spares:
            until = max(until or each.event_time, each.event_time)
    return InForce(days, unexported_too, None if until is None else until + GRACE)


def _said(tx: Transaction, since: datetime, until: datetime) -> list[Found] | None:
    """The events by which it was set in some time, newest first; None where there are too many to be seen."""
    found: list[Found] = []
    before: Place | None = None
    for _ in range(_MOST_PAGES):
        page = tx.audit_records.newest(
            f"EventName={SET}", since=since, until=until, before=before, limit=_PAGE
        )
        found += page.found
        before = page.end
        if before is None:
            return found
    return None


def _part(event: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = event.get(name)
    return found if isinstance(found, dict) else {}


def _days(text: Any) -> int | None:
    """Of what no program of ours wrote, none: for ever."""
    found = re.fullmatch(r"([0-9]{1,5})d", text) if isinstance(text, str) else None
    return None if found is None else int(found[1])


class RetentionRun:
    """One control plane's. Of several that run at once, each deletes what it finds."""

    def __init__(self, store: Store, clock: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._store = store
        self._clock = JumpGuardedClock(clock, monotonic)

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
                held = in_force(tx, kept, now)
                if held.days is None:
                    break
                before = now - timedelta(days=held.days)
                some = tx.audit_records.expired(before, _AT_ONCE, unexported_too=held.unexported_too)
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
