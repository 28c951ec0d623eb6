"""An event as a row of the store, bounded, and safe for whoever reads lines."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any, Final

from hatchway.audit.abridged import abridged, cut_text
from hatchway.audit.terms import terms_of, user_name_of
from hatchway.domain.account import AuditRecord

LARGEST_OF_CHANGES: Final = 100_000
"""Characters of each of the three parts below in the event of what changed something, as at CloudTrail."""
LARGEST_OF_OTHERS: Final = 8_000
"""The same for what was refused or only read: any key may have as many of those as it likes."""
LONGEST_MESSAGE: Final = 4_000
MOST_RESOURCES: Final = 50
LONGEST_USER_AGENT: Final = 1024

_LARGE_PARTS: Final = ("requestParameters", "responseElements", "additionalEventData")

# Made once: `json.dumps` makes one for each call that does not take its defaults. An event has no circles.
to_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
"""An event, or a part of one, as its record has it but for `safe_line`."""

text_to_json: Final = encode_basestring
"""The same of a text alone, without the encoder, which takes three times as long to come to this."""

# Line ends to some, orders to a terminal, or nothing that UTF-8 has. JSON itself escapes those below U+0020.
_unsafe: Final = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def to_record(event: Mapping[str, Any], time: datetime) -> AuditRecord:
    """The row that keeps an event. `time` is its moment to the microsecond; the event has whole seconds.

    Whatever texts it holds, it can be stored; where it is too large, it says what was left out.
    """
    identity = event["userIdentity"]
    most = LARGEST_OF_OTHERS if event["readOnly"] or "errorCode" in event else LARGEST_OF_CHANGES
    body = to_json(event)
    if len(body) > most:
        event = _abridged_event(event, most)
        body = to_json(event)
    return AuditRecord(
        event_id=event["eventID"],
        event_time=time,
        event_source=event["eventSource"],
        event_name=event["eventName"],
        request_id=event["requestID"],
        user_name=_user_name(event),
        access_key_id=identity.get("accessKeyId"),
        body=safe_line(body),
        terms=terms_of(event),
    )


def _user_name(event: Mapping[str, Any]) -> str | None:
    """The caller as look-ups name it, but for the root user: its rows have no name."""
    identity = event["userIdentity"]
    name: str | None = identity.get("userName")
    return name if identity.get("type") == "Root" else user_name_of(event)


def safe_line(body: str) -> str:
    """JSON that says the same without characters that some reader takes for more than text.

    They stand within its texts alone, where an escape means the same (RFC 8259 section 7).
    """
    # Most is ASCII, in which there is one of them.
    if body.isascii() and "\x7f" not in body:
        return body
    return _unsafe.sub(lambda found: f"\\u{ord(found[0]):04x}", body)


def _abridged_event(event: Mapping[str, Any], most: int) -> dict[str, Any]:
    less = dict(event)
    for part in _LARGE_PARTS:
        if less.get(part) is not None:
            less[part] = abridged(less[part], most)
    if less.get("errorMessage") is not None:
        less["errorMessage"] = cut_text(less["errorMessage"], LONGEST_MESSAGE)
    if "resources" in less:
        less["resources"] = less["resources"][:MOST_RESOURCES]
    less["userAgent"] = cut_text(less["userAgent"], LONGEST_USER_AGENT)
    return less
