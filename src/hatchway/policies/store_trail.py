"""The audit trail as the API tells it, looked up in the store: on the server itself."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import or_, select

from hatchway.audit.stored_events import read_event
from hatchway.audit.terms import name_in, term, terms_of
from hatchway.errors import BadUsage
from hatchway.store import Store
from hatchway.store.tables import instances, tag_index

if TYPE_CHECKING:
    from hatchway.store.trail.event_bodies import Place

_PAGE: Final = 500


class StoredTrail:
    """Asked as the API is by `hatchway.client.api.events.Trail`. To look here is no event."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lookup_events(self, **asked: Any) -> Mapping[str, Any]:
        """The newest events since `StartTime`, in portions, by one attribute at most.

        Raises:
            Exception: the store cannot be read.
        """
        wanted = [
            term(each["AttributeKey"], name_in(each["AttributeValue"]))
            for each in asked.get("LookupAttributes", ())
        ]
        before: Place | None = asked.get("NextToken")
        with self._store.read() as tx:
            page = tx.audit_records.newest(
                wanted[0] if wanted else None,
                since=asked["StartTime"],
                until=None,
                before=before,
                limit=_PAGE,
            )
        # Texts that are no events tell of nothing, and an entry of the index may lead to another's event.
        read = ((each.body, read_event(each.body)) for each in page.found)
        found = [body for body, event in read if event is not None and {*wanted} <= {*terms_of(event)}]
        return {
            "Events": [{"CloudTrailEvent": body} for body in found],
            "NextToken": page.end,
            "ResponseMetadata": {"RequestId": None},
        }


def hosts_called(store: Store, name: str) -> frozenset[str]:
    """The ids of the hosts of a name: by their tag Name, or by what they were registered as.

    Raises:
        BadUsage: there is none.
    """
    tagged = select(tag_index.c.resource_id).where(
        tag_index.c.tag_key == "Name", tag_index.c.tag_value == name
    )
    with store.read() as tx:
        called = or_(instances.c.name == name, instances.c.id.in_(tagged))
        found = tx.audit_records.rows(select(instances.c.id).where(called))
    if not found:
        raise BadUsage(f"there is no host {name!r}")
    return frozenset(row[0] for row in found)
