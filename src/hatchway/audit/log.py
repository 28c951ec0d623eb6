"""An event as a row of the store."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hatchway.domain.account import AuditRecord


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
        body=json.dumps(event, separators=(",", ":"), ensure_ascii=False),
    )
