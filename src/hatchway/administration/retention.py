"""`hatchway store retention`: how long the audit trail's events are kept, said on the server alone.

Whoever reaches the API, with whatever permissions, cannot have the trail of what he does deleted.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from hatchway.audit.local_trail import record
from hatchway.audit.retention import FOR_EVER, SET, in_force
from hatchway.errors import BadUsage
from hatchway.installation.installation import Installation
from hatchway.store.tables import audit_records, audit_unexported

MOST_DAYS: Final = 36_500
_DAYS: Final = re.compile(r"([0-9]{1,5})d")


@dataclass(frozen=True, slots=True)
class KeptTrail:
    """How long events are kept, and what that means now.

    Attributes:
        days: so many; None for ever.
        unexported_too: whether also those go that are in no audit.jsonl.
        now_days: for so many for now, as shorter ones take a day; None for ever.
        until: when what was set holds; None when it does.
        older: how many events there are that are older than by what was set.
        waiting: how many of those stay, because they are in no audit.jsonl yet.
        deleted_before: what was before this is gone; None when nothing is.
    """

    days: int | None
    unexported_too: bool
    now_days: int | None
    until: datetime | None
    older: int
    waiting: int
    deleted_before: datetime | None


def read_days(text: str) -> int | None:
    """
    Raises:
        BadUsage: it is neither a number of days nor `forever`.
    """
    if text == FOR_EVER:
        return None
    found = _DAYS.fullmatch(text)
    if found is None or not 1 <= int(found[1]) <= MOST_DAYS:
        raise BadUsage(f"{text!r} is no time to keep events for: give days, such as 400d, or {FOR_EVER}")
    return int(found[1])


def set_retention(
    installation: Installation, days: int | None, *, unexported_too: bool, at_once: bool = False
) -> None:
    """Has events deleted that are older than so many days, or none. A control plane does it, bit by bit.

    What would have stayed by what held before goes a day later, but `at_once`.
    """
    with installation.store.record() as tx:
        before = tx.audit_records.retention()
        if (before.days, before.unexported_too) == (days, unexported_too) and not at_once:
            return
        # A clock that is behind must not have the grace be over.
        now = tx.server_time() or datetime.now(UTC)
        tx.audit_records.set_retention(
            days, unexported_too=unexported_too, at_once_at=now if at_once else None
        )
        parameters = {"retention": _told(days), "unexportedToo": unexported_too, "atOnce": at_once}
        answer = {"former": {"retention": _told(before.days), "unexportedToo": before.unexported_too}}
        record(tx, installation.account, now, SET, parameters=parameters, answer=answer)


def kept_trail(installation: Installation) -> KeptTrail:
    with installation.store.read() as tx:
        kept = tx.audit_records.retention()
        if kept.days is None:
            return KeptTrail(None, kept.unexported_too, None, None, 0, 0, kept.deleted_before)
        now = datetime.now(UTC)
        held = in_force(tx, kept, now)
        before = now - timedelta(days=kept.days)
        older = tx.audit_records.count(audit_records.c.event_time < before)
        old = audit_unexported.c.event_time < before
        due = tx.audit_records.scalar(select(func.count()).select_from(audit_unexported).where(old))
        former = tx.audit_records.count(audit_records.c.event_time < before, exported=False)
    return KeptTrail(
        kept.days, kept.unexported_too, held.days, held.until, older, due + former, kept.deleted_before
    )


def _told(days: int | None) -> str:
    return FOR_EVER if days is None else f"{days}d"
