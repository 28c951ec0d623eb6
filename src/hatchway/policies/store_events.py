"""Why a call was allowed or refused, looked for in the store: on the server itself."""

from hatchway.audit.denials import events_beginning, events_of, last_denial
from hatchway.errors import BadUsage
from hatchway.policies.events import Explained, read_event
from hatchway.store import Store
from hatchway.store.tables import audit_records

_TOLD = 5


def explain_request(store: Store, request_id: str) -> Explained:
    """The event of a request that says most of why it ended as it did; or of the only one whose id begins so.

    Raises:
        BadUsage: there is none, or there are several, of which some are told.
    """
    with store.read() as tx:
        events = events_of(tx, request_id) or events_beginning(tx, request_id)
    found = sorted({str(event["requestID"]) for event in events})
    if len(found) > 1:
        raise BadUsage(
            f"{request_id!r} may be any of {len(found)} requests or more, {', '.join(found[:_TOLD])}:"
            " write more of the id"
        )
    if not events:
        raise BadUsage(
            f"the audit trail has no request {request_id!r}: give the id that the client was told,"
            " or an event's requestID"
        )
    return read_event(events[0])


def explain_last(store: Store, who: str | None) -> Explained:
    """The latest denial, of a user (by name or ARN, or the root user's ARN) when one is given.

    Raises:
        BadUsage: there is none.
    """
    is_arn = who is not None and who.startswith("arn:")
    conditions = [] if who is None or is_arn else [audit_records.c.user_name == who]
    with store.read() as tx:
        event = last_denial(
            tx, lambda event: not is_arn or event["userIdentity"].get("arn") == who, *conditions
        )
    if event is None:
        of = "" if who is None else f" of {who!r}"
        raise BadUsage(f"the audit trail has no denial{of}: give a user's name or ARN, or a request's id")
    return read_event(event)
