"""The service `hatchway`: why a caller was refused, for those whom policies let know."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from hatchway.access.authorization import ANY_RESOURCE, Check
from hatchway.access.explanation import EXPLAIN
from hatchway.access.principal import Principal
from hatchway.audit.denials import EXPLAIN_DENIAL, NEWEST, events_beginning, events_of, last_denial
from hatchway.audit.stored_events import Event
from hatchway.control.concurrency import ConcurrentCalls
from hatchway.control.hatchway_service.turns import Turns
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError
from hatchway.store.tables import audit_records

_TOLD: Final = 5
"""Requests that are named where an id's beginning means several."""

_turns: Final = Turns("look through the audit trail", most_waiting=4, longest_wait=5.0)
_looking: Final = ConcurrentCalls(2)


@operation("hatchway", EXPLAIN_DENIAL, reads_only=True)
def explain_denial(call: Call) -> Result:
    """One denial, by its request's id or the beginning of that, or the caller's latest.

    A denial that is not the caller's own needs the permission on every resource. So does one that does not
    exist: nobody else learns which request ids exist.
    """
    request_id = call.parameters.get("RequestId")
    caller = call.caller.principal
    denial: Event | None = None
    begun: list[Event] = []
    own = request_id is None
    if request_id is not None:
        # Whoever asks why his tunnel did not reach its target is told, too, that policies let it through.
        denial = next(iter(events_of(call.tx, request_id)), None)
        if denial is None:
            theirs = audit_records.c.user_name == caller.trail_name
            with _in_turn(caller):
                begun = events_beginning(call.tx, request_id, theirs, newest=NEWEST)
            begun = [event for event in begun if _is_own(event, caller)]
            denial = next(iter(begun), None)
        own = denial is not None and _is_own(denial, caller)

    call.authorize(Check(EXPLAIN, (caller.arn,) if own else ANY_RESOURCE))

    if request_id is None:
        with _in_turn(caller):
            denial = last_denial(
                call.tx,
                lambda event: _is_own(event, caller),
                audit_records.c.user_name == caller.trail_name,
                newest=NEWEST,
            )
    elif not own and denial is None:
        with _in_turn(caller):
            begun = events_beginning(call.tx, request_id, newest=NEWEST)
        denial = next(iter(begun), None)
    if request_id is not None and len(found := sorted({event["requestID"] for event in begun})) > 1:
        raise ServiceError(
            "ValidationException",
            f"{request_id} may be any of {len(found)} requests or more, {', '.join(found[:_TOLD])}:"
            " write more of the id.",
        )
    if denial is None:
        raise ServiceError(
            "ResourceNotFoundException",
            f"None of the newest {NEWEST} events tells of a denial of yours."
            if request_id is None
            else f"The audit trail has no request {request_id}.",
        )
    return {"Denial": _result(denial)}


@contextmanager
def _in_turn(caller: Principal) -> Iterator[None]:
    """Within, no other call looks through the trail; of one caller, one more waits.

    Raises:
        TooManyCalls: too many others want to, or of this caller's.
    """
    with _looking.one_more(caller.maker_id), _turns.one():
        yield


def _is_own(event: Event, caller: Principal) -> bool:
    """Whether it is the caller's. A user's successor of the same name has another id."""
    identity = event["userIdentity"]
    whose = (identity.get("principalId"), identity.get("arn"), identity.get("userName"))
    return whose == (caller.user_id, caller.arn, caller.user_name)


def _result(event: Event) -> dict[str, Any]:
    return {
        "RequestId": event["requestID"],
        "EventTime": datetime.fromisoformat(event["eventTime"]),
        "EventName": event["eventName"],
        "PrincipalArn": event["userIdentity"].get("arn"),
        "SourceIp": event["sourceIPAddress"],
        "ErrorCode": event.get("errorCode"),
        "ErrorMessage": event.get("errorMessage"),
        "CloudTrailEvent": json.dumps(event, ensure_ascii=False, separators=(",", ":")),
    }
