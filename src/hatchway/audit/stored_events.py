"""Events as the store gives them back, read so that none hides another.

Who has a gateway's role in the database may enter any JSON object for an event. A text that is none of ours
is nothing that anybody has done: it is passed over, whatever it looks like, and what reads the next one goes
on.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hatchway.audit.terms import NO_EVENT, terms_of

Event = Mapping[str, Any]

_TEXTS: Final = (
    "eventTime", "eventSource", "eventName", "requestID", "eventID", "userAgent", "sourceIPAddress"
)  # fmt: skip
_OF_IDENTITY: Final = ("type", "userName", "accessKeyId", "arn")
_OF_RESOURCE: Final = ("type", "ARN")


def read_event(body: str) -> Event | None:
    """The event of a text; None of one in which some part is not of the kind that its readers take it for."""
    try:
        event = json.loads(body)
        return event if _is_event(event) else None
    except NO_EVENT:
        return None


def read_terms(body: str) -> tuple[str, ...]:
    """What the event of a text is found by; nothing of one that is none."""
    event = read_event(body)
    return () if event is None else terms_of(event)


def can_be_stored(text: Any) -> bool:
    """Whether it is text as both kinds of store have it: JSON can write more than that.

    Raises:
        UnicodeEncodeError: it has what is no character.
    """
    return isinstance(text, str) and b"\0" not in text.encode()


def _is_event(event: Any) -> bool:
    """
    Raises:
        one of NO_EVENT: it is none either.
    """
    identity, additional = event["userIdentity"], event.get("additionalEventData") or {}
    texts = [event[name] for name in _TEXTS]
    texts += [identity[name] for name in _OF_IDENTITY if identity.get(name) is not None]
    texts += [each[name] for each in event.get("resources") or () for name in _OF_RESOURCE]
    return (
        all(isinstance(text, str) for text in texts)
        and datetime.fromisoformat(event["eventTime"]).utcoffset() is not None
        and isinstance(event["readOnly"], bool)
        and isinstance(additional, dict)
        and isinstance(additional.get("revocation", {}), dict)
        and all(map(can_be_stored, terms_of(event)))
    )
