"""Looking up the audit trail (AWS: CloudTrail API Reference, "LookupEvents")."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from hatchway.access.authorization import Check
from hatchway.audit.stored_events import read_event
from hatchway.audit.terms import name_in, read_only_of, resources_of, term, terms_of, user_name_of
from hatchway.control.cloudtrail.event_tokens import InvalidEventToken, make_event_token, read_event_token
from hatchway.control.operations import Call, Result, operation
from hatchway.protocol import ServiceError
from hatchway.store.trail.audit_rows import Page
from hatchway.store.trail.event_bodies import Found, Place

log = structlog.get_logger("hatchway.control")

_LARGEST_PAGE: Final = 50
_MOST_CHARACTERS: Final = 1 << 20
"""Of events on one page, which has at least one: some are 300,000 characters long."""
_OF_INSIGHTS: Final = ("EventId", "EventName", "EventSource")
_SECOND: Final = timedelta(seconds=1)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is looked up. `attribute` and `value` are None for all events.

    Events tell their times in whole seconds, and so are `since` and `until` meant; the latter is no longer
    within.
    """

    attribute: str | None
    value: str | None
    since: datetime | None
    until: datetime | None
    insights: bool

    @property
    def text(self) -> str:
        """The same for the same lookup, and for no other."""
        times = [None if time is None else time.isoformat() for time in (self.since, self.until)]
        return json.dumps([self.attribute, self.value, *times, self.insights])

    @property
    def term(self) -> str | None:
        if self.attribute is None or self.value is None:
            return None
        return term(self.attribute, name_in(self.value) if self._names_arn else self.value)

    @property
    def _names_arn(self) -> bool:
        return self.attribute == "ResourceName" and (self.value or "").startswith("arn:")

    def holds(self, event: Mapping[str, Any]) -> bool:
        """Whether an event that was found by the term is what was meant."""
        if self._names_arn:
            return any(each["ARN"] == self.value for each in event.get("resources") or ())
        return self.term is None or self.attribute == "EventId" or self.term in terms_of(event)


@operation("cloudtrail", "LookupEvents", reads_only=True)
def lookup_events(call: Call) -> Result:
    """The newest events, a page at a time.

    They are found from the moment on at which they are recorded. A page may have fewer than it could.
    """
    lookup = read_lookup(call.parameters)
    size = call.parameters.get("MaxResults") or _LARGEST_PAGE
    token = call.parameters.get("NextToken")
    before = None
    if token is not None:
        try:
            before = read_event_token(call.vault, lookup.text, token)
        except InvalidEventToken:
            raise ServiceError(
                "InvalidNextTokenException",
                "Invalid NextToken: use one that this operation gave for the same lookup.",
            ) from None

    call.authorize(Check("cloudtrail:LookupEvents"))

    found, end = _find(call, lookup, before, size + 1)
    page = _that_fit(found[:size])
    if len(found) > len(page):
        end = page[-1][:2]
    return {
        "Events": [told for each in page if (told := _told(each, lookup)) is not None],
        "NextToken": None if end is None else make_event_token(call.vault, lookup.text, end),
    }


def read_lookup(parameters: Mapping[str, Any]) -> Lookup:
    """
    Raises:
        ServiceError: there can be no such lookup.
    """
    attributes = parameters.get("LookupAttributes") or ()
    if len(attributes) > 1:
        raise _bad_attributes("You can specify only one attribute key at a time.")
    attribute, value = (
        (attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]) if attributes else (None, None)
    )
    insights = parameters.get("EventCategory") is not None
    if insights and attribute is not None and attribute not in _OF_INSIGHTS:
        raise _bad_attributes(f"Insights events are looked up by {', '.join(_OF_INSIGHTS)} alone.")
    since, until = parameters.get("StartTime"), parameters.get("EndTime")
    if since is not None and until is not None and since > until:
        raise ServiceError("InvalidTimeRangeException", "StartTime is after EndTime.")
    return Lookup(
        attribute,
        value,
        since=None if since is None else _whole_second(since, up=True),
        until=None if until is None else _second_after(_whole_second(until, up=False)),
        insights=insights,
    )


def _find(call: Call, lookup: Lookup, before: Place | None, limit: int) -> Page:
    if lookup.insights:
        # There are none.
        return Page([], None)
    if lookup.attribute == "EventId":
        record = call.tx.audit_records.get(lookup.value)
        if record is None or not _within(record.event_time, lookup):
            return Page([], None)
        return Page([Found(record.event_time, record.event_id, record.body)], None)
    return call.tx.audit_records.newest(
        lookup.term, since=lookup.since, until=lookup.until, before=before, limit=limit
    )


def _within(time: datetime, lookup: Lookup) -> bool:
    return (lookup.since is None or time >= lookup.since) and (lookup.until is None or time < lookup.until)


def _that_fit(found: Sequence[Found]) -> list[Found]:
    """As many of the first as fit on a page."""
    page: list[Found] = []
    left = _MOST_CHARACTERS
    for each in found:
        left -= len(each.body)
        if page and left < 0:
            break
        page.append(each)
    return page


def _told(found: Found, lookup: Lookup) -> dict[str, Any] | None:
    """None of an event that is not meant, and of a text that is none: a page of others has to be read."""
    event = read_event(found.body)
    if event is None:
        log.warning("event cannot be read", event_id=found.event_id)
        return None
    return _result(found, event) if lookup.holds(event) else None


def _result(found: Found, event: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EventId": found.event_id,
        "EventName": event["eventName"],
        "ReadOnly": read_only_of(event),
        "AccessKeyId": event["userIdentity"].get("accessKeyId"),
        "EventTime": found.event_time.replace(microsecond=0),
        "EventSource": event["eventSource"],
        "Username": user_name_of(event),
        "Resources": [
            {"ResourceType": resource.type, "ResourceName": resource.name} for resource in resources_of(event)
        ],
        "CloudTrailEvent": found.body,
    }


def _whole_second(time: datetime, *, up: bool) -> datetime:
    whole = time.astimezone(UTC).replace(microsecond=0)
    return _second_after(whole) if up and time.microsecond else whole


def _second_after(time: datetime) -> datetime:
    """No event is so late that the last moment that there is were not after it."""
    return time + _SECOND if time < _LAST - _SECOND else _LAST


def _bad_attributes(message: str) -> ServiceError:
    return ServiceError("InvalidLookupAttributesException", message)
