"""An event as a row of the store."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hatchway.domain.account import AuditRecord

# Made once: `json.dumps` makes one for each call that does not take its defaults. An event has no circles.
_to_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode


def to_record(event: Mapping[str, Any], time: datetime) -> AuditRecord:
    """The row that keeps an event. `time` is its moment to the microsecond; the event has whole seconds."""
    identity = event["userIdentity"]
    return AuditRecord(
        event_id=event["eventID"],
        event_time=time,
        event_source=event["eventSource"],
        event_name=event["eventName"],
        request_id=event["requestID"],
        user_name=identity.get("userName"),
        access_key_id=identity.get("accessKeyId"),
        body=_to_json(event),
    )
