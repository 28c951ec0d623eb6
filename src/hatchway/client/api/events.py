"""The audit trail as the API tells it, or the store itself, once or again and again (AWS: "LookupEvents")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hatchway.client.api.profile import api_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


Event = Mapping[str, Any]
"""In CloudTrail's shape, with the members that every event has."""

_OPERATION: Final = "LookupEvents"
_MEMBERS: Final = ("requestID", "eventID", "eventName", "eventTime", "eventSource", "sourceIPAddress")
LATE: Final = timedelta(minutes=5)
"""How much later than its time an event may come into the trail."""
_SWEEP: Final = timedelta(seconds=30)
"""How often all of that time is looked through again; in between, until nothing is new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which events. `user` is a user's name, `resource` a name or id; None for any.

    The API looks events up by one of them, and the rest is left to `also`.
    """

    user: str | None = None
    resource: str | None = None
    also: Callable[[Event], bool] = lambda _: True

    def parameters(self) -> dict[str, Any]:
        """What the API is asked for."""
        key, value = ("Username", self.user) if self.user is not None else ("ResourceName", self.resource)
        if value is None:
            return {}
        return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


class Trail:
    """The trail, as one caller may see it. What this object itself asks for is not among the events."""

    def __init__(self, client: Any, sought: Sought) -> None:
        """`client` looks events up, such as `Profile.api("cloudtrail")`."""
        self._client = client
        self._sought = sought
        self._own: dict[str, datetime] = {}
        """The ids of its own requests, of which it is told as well, and when it made them."""
        self._seen: dict[str, datetime] = {}
        """The ids of events, and their times."""
        self._since = datetime.min.replace(tzinfo=UTC)
        self._swept: datetime | None = None

    def newest(self, now: datetime, since: datetime, most: int) -> tuple[list[Event], bool]:
        """The newest events since a moment, oldest first, and whether there are more than `most`.

        Raises:
            ApiError, NotConfigured: the control plane refuses, or cannot be asked.
        """
        found: list[Event] = []
        self._since = since
        for page in self._pages(now, since):
            for event in page:
                self._seen[event["eventID"]] = time_of(event)
                if event["requestID"] not in self._own and self._sought.also(event):
                    if len(found) == most:
                        self._since = time_of(found[-1]) if found else now
                        return found[::-1], True
                    found.append(event)
        return found[::-1], False

    def new(self, now: datetime) -> list[Event]:
        """The events that have come since the last time, oldest first.

        Each is told once, and none is left out that comes into the trail within `LATE` of its time.

        Raises:
            ApiError, NotConfigured: the control plane refuses, or cannot be asked. What has come is told next
            time.
        """
        sweeping = self._swept is None or now - self._swept >= _SWEEP
        found: dict[str, Event] = {}
        for page in self._pages(now, max(now - LATE, self._since)):
            fresh = {each["eventID"]: each for each in page if each["eventID"] not in self._seen}
            found |= fresh
            # One without any is no end: the API looks a part of the trail through at once.
            if not sweeping and page and not fresh:
                break
        if sweeping:
            self._swept = now
        self._seen |= {event_id: time_of(event) for event_id, event in found.items()}
        told = [
            e for e in reversed(found.values()) if e["requestID"] not in self._own and self._sought.also(e)
        ]
        # Nothing of before is looked through again, and a clock may be behind.
        for kept in (self._seen, self._own):
            for each in [each for each, time in kept.items() if time < now - 2 * LATE]:
                del kept[each]
        return sorted(told, key=time_of)

    def _pages(self, now: datetime, since: datetime) -> Iterator[list[Event]]:
        asked: dict[str, Any] = {**self._sought.parameters(), "StartTime": since}
        while True:
            with api_errors(_OPERATION):
                answer = self._client.lookup_events(**asked)
                self._own[answer["ResponseMetadata"]["RequestId"]] = now
                page = [_event(each["CloudTrailEvent"]) for each in answer["Events"]]
                token = answer.get("NextToken")
            yield page
            if not token:
                return
            asked["NextToken"] = token


def time_of(event: Event) -> datetime:
    """An event's time, which is of whole seconds."""
    return datetime.fromisoformat(event["eventTime"]).astimezone(UTC)


def _event(text: str) -> Event:
    """
    Raises:
        ValueError: it is none.
    """
    event: Any = json.loads(text)
    if not (
        isinstance(event, dict)
        and isinstance(event.get("userIdentity"), dict)
        and all(isinstance(event.get(member), str) for member in _MEMBERS)
    ):
        raise ValueError("this is no event")
    time_of(event)
    return event
