"""Which refusals are recorded one by one, and the count of the others.

A refusal costs its caller nothing and a record of it costs the disk, so each principal has a rate of them.
What is beyond it is counted, and one record tells of all: how many, of what, and when. So does what was
refused to callers that proved nothing, who share one rate.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Final

from hatchway.audit.events import EventSource, Outcome, event, event_time, unknown_identity
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.log import to_record
from hatchway.domain.account import AuditRecord

AT_ONCE: Final = 100
PER_SECOND: Final = 2.0
"""Refusals of one principal that are recorded one by one."""
UNAUTHENTICATED_PER_SECOND: Final = 10.0
"""The same of all callers together that proved nothing."""
INTERVAL: Final = 10.0
"""Seconds after which the counts should be written."""
EVENT_NAME: Final = "RefusedCalls"
MOST_PRINCIPALS: Final = 10_000
"""Remembered at a time; refusals of any more count as unauthenticated ones."""
_MOST_KINDS: Final = 20


@dataclass(slots=True)
class _Count:
    """Refusals of one caller that have no record of their own."""

    source: EventSource
    first: datetime
    last: datetime
    number: int = 0
    names: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    addresses: Counter[str] = field(default_factory=Counter)

    def add(self, source: EventSource, name: str, code: str, time: datetime) -> None:
        self.number += 1
        self.last = max(self.last, time)
        for counter, key in ((self.names, name), (self.codes, code), (self.addresses, source.source_ip)):
            counter[key if key in counter or len(counter) < _MOST_KINDS else "others"] += 1

    def merge(self, other: "_Count") -> None:
        self.number += other.number
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.names += other.names
        self.codes += other.codes
        self.addresses += other.addresses

    def event(self, event_id: str, request_id: str) -> dict[str, Any]:
        source = EventSource(
            account=self.source.account,
            region=self.source.region,
            event_source=EVENT_SOURCE,
            request_id=request_id,
            source_ip=EVENT_SOURCE,
            user_agent=EVENT_SOURCE,
            user_identity=self.source.user_identity,
        )
        told = {
            "count": self.number,
            "firstTime": event_time(self.first),
            "lastTime": event_time(self.last),
            "eventNames": dict(self.names),
            "errorCodes": dict(self.codes),
            "sourceIPAddresses": dict(self.addresses),
        }
        return event(
            source,
            event_id=event_id,
            time=self.last,
            name=EVENT_NAME,
            read_only=True,
            request_parameters=None,
            outcome=Outcome(additional={"refusals": told}),
            event_type="AwsServiceEvent",
        )


@dataclass(slots=True)
class _Allowance:
    tokens: float
    filled_at: float

    def take(self, now: float, rate: float) -> bool:
        self.tokens = min(float(AT_ONCE), self.tokens + max(0.0, now - self.filled_at) * rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Refusals:
    """The counts of one process. Safe among threads."""

    def __init__(self) -> None:
        self._allowances: dict[str, _Allowance] = {}
        self._counts: dict[str, _Count] = {}
        self._lock = Lock()

    def admit(self, source: EventSource, name: str, code: str, *, time: datetime, now: float) -> bool:
        """Whether a refusal is to be recorded by itself; if not, it has been counted.

        Args:
            name, code: the event's name and the error's code.
            now: seconds of a clock that never goes back.
        """
        key = _arn(source)
        with self._lock:
            if key and key not in self._allowances and len(self._allowances) >= MOST_PRINCIPALS:
                self._forget(now)
                if len(self._allowances) >= MOST_PRINCIPALS:
                    key = ""
            allowance = self._allowances.setdefault(key, _Allowance(float(AT_ONCE), now))
            if allowance.take(now, PER_SECOND if key else UNAUTHENTICATED_PER_SECOND):
                return True
            self._add(key, source, name, code, time)
            return False

    def count(self, source: EventSource, name: str, code: str, *, time: datetime) -> None:
        """One that was to be recorded by itself and could not be."""
        with self._lock:
            key = _arn(source)
            self._add(key if key in self._allowances else "", source, name, code, time)

    def _add(self, key: str, source: EventSource, name: str, code: str, time: datetime) -> None:
        if key not in self._counts:
            # Who has not authenticated can invent as many key ids as he likes.
            identity = _owner(source) if key else unknown_identity(None)
            self._counts[key] = _Count(_by(source, identity), first=time, last=time)
        self._counts[key].add(source, name, code, time)

    def take(self, new_id: Callable[[], str]) -> "Taken":
        """The records of all that was counted since the last time."""
        with self._lock:
            counts, self._counts = self._counts, {}
        records = [
            to_record(count.event(new_id(), new_id()), count.last)
            for count in counts.values()
            if count.number
        ]
        return Taken(records, counts)

    def give_back(self, taken: "Taken") -> None:
        """Counts again what could not be recorded."""
        with self._lock:
            for key, count in taken.counts.items():
                if key in self._counts:
                    self._counts[key].merge(count)
                else:
                    self._counts[key] = count

    def _forget(self, now: float) -> None:
        """Lets go of principals that have their whole allowance again."""
        whole = AT_ONCE / PER_SECOND
        self._allowances = {
            key: allowance for key, allowance in self._allowances.items() if now - allowance.filled_at < whole
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """Records that tell of counts, and the counts."""

    records: list[AuditRecord]
    counts: Mapping[str, _Count]


def _arn(source: EventSource) -> str:
    """Whose allowance a refusal takes from; empty for callers that proved nothing."""
    return str(_owner(source).get("arn", ""))


def _owner(source: EventSource) -> Mapping[str, Any]:
    """Who is refused: of a role's session the role, as one caller makes as many sessions as he likes.

    (AWS: CloudTrail User Guide, "CloudTrail userIdentity element", on the type `Role`.)
    """
    issuer: Mapping[str, Any] | None = source.user_identity.get("sessionContext", {}).get("sessionIssuer")
    return source.user_identity if issuer is None else issuer


def _by(source: EventSource, identity: Mapping[str, Any]) -> EventSource:
    return EventSource(
        account=source.account,
        region=source.region,
        event_source=source.event_source,
        request_id=source.request_id,
        source_ip=source.source_ip,
        user_agent="",
        user_identity=identity,
    )
