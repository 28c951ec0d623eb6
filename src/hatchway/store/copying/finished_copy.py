"""A copy of a store that is finished: told from any other store, and compared once more.

Finishing has written an event of it into the copy's trail, and has its followers read everything anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Table

from hatchway.store import tables
from hatchway.store.copying.copied_rows import Side, Sum
from hatchway.store.copying.transfer import Differs, Source, account_of, all_tables
from hatchway.store.schema import own_schema

EVENT: Final = "CopyStore"
"""The name of the event."""
_OF_FOLLOWERS: Final = (tables.feed, tables.tombstones)
_LAST: Final = (
    f"SELECT event_id, event_time FROM audit_records WHERE event_name = '{EVENT}'"  # noqa: S608
    " ORDER BY event_time DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class FinishedCopy:
    """By which event, and when, in UTC."""

    event_id: str
    at: str


def finished_copy(rows: Side, copy: Side, source: Source) -> FinishedCopy | None:
    """What a database is as a finished copy of this store; None where it is none."""
    if copy.schema() != own_schema():
        return None
    event = copy.run(_LAST).fetchone()
    if event is None or account_of(copy) != (source.account, source.made_at):
        return None
    if rows.run("SELECT 1 FROM audit_records WHERE event_id = ?", event[0]).fetchone() is not None:
        # It is of another copying, of which both stores are.
        return None
    return FinishedCopy(event[0], str(event[1])[:19])


def compare(rows: Side, copy: Side, finished: FinishedCopy, tell: Callable[[str], None]) -> dict[str, Sum]:
    """What there is of each table, by its name: the same in both, but for the event.

    Raises:
        Differs: a table is not the same any more.
    """
    found: dict[str, Sum] = {}
    for table in all_tables():
        if table not in _OF_FOLLOWERS:
            found[table.name] = _sum(rows, table, "", tell)
            if _sum(copy, table, finished.event_id, tell) != found[table.name]:
                raise Differs(table.name)
    return found


def _sum(side: Side, table: Table, without: str, tell: Callable[[str], None]) -> Sum:
    """Of all rows but those of one event."""
    names = [column.name for column in table.columns]
    place = names.index("event_id") if "event_id" in names else None
    total = Sum()
    for portion in side.rows(table):
        total = total.plus([row for row in portion if place is None or row[place] != without])
        tell(f"Comparing {table.name}: {total.rows:,} rows")
    return total
