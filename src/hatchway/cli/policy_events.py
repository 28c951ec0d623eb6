"""Why a call was allowed or refused, from its event in the audit trail."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hatchway.cli.errors import BadUsage
from hatchway.cli.policy_questions import overall
from hatchway.iam import Decision, Outcome
from hatchway.store import Store

_ENCODED = " Encoded authorization failure message:"
"""What follows this in EC2's messages are the decisions themselves, sealed."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One event and its decisions, none where no permission was asked about."""

    event: Mapping[str, Any]
    decisions: tuple[Decision, ...]

    @property
    def outcome(self) -> Outcome:
        """Without any decision, a call that failed was refused before one could be made."""
        if not self.decisions and self.event.get("errorCode"):
            return Outcome.IMPLICIT_DENY
        return overall(self.decisions)

    @property
    def sentences(self) -> list[str]:
        """Who did what, and what the caller was told."""
        event, identity = self.event, self.event["userIdentity"]
        who = identity.get("arn") or identity.get("accessKeyId") or "somebody unknown"
        lines = [
            f"{event['eventName']} by {who} from {event['sourceIPAddress']} at {event['eventTime']},"
            f" request {event['requestID']}"
        ]
        if event.get("errorCode"):
            told = event["errorMessage"].partition(_ENCODED)[0]
            lines.append(f"answered with {event['errorCode']}: {told}")
        network = (event.get("additionalEventData") or {}).get("network")
        if network:
            lines.append(f"the network did not let it through: {network}")
        if not self.decisions:
            before = event.get("errorCode")
            lines.append(f"no permission was {'checked before that' if before else 'needed'}")
        return lines

    def to_json(self) -> dict[str, Any]:
        return {
            "requestId": self.event["requestID"],
            "eventName": self.event["eventName"],
            "eventTime": self.event["eventTime"],
            "userIdentity": self.event["userIdentity"],
            "errorCode": self.event.get("errorCode"),
            "errorMessage": self.event.get("errorMessage"),
            "outcome": str(self.outcome),
            "decisions": [decision.to_json() for decision in self.decisions],
        }


def explain_request(store: Store, request_id: str) -> Explained:
    """The event of a request, the one with its decisions where there are several.

    Raises:
        BadUsage: there is none.
    """
    with store.read() as tx:
        records = tx.audit_records.find(request_id=request_id)
    if not records:
        raise BadUsage(
            f"the audit trail has no request {request_id!r}: give the id that the client was told,"
            " or an event's requestID"
        )
    records.sort(key=lambda record: record.event_time)
    explained = [read_event(json.loads(record.body)) for record in records]
    return next((one for one in explained if one.decisions), explained[0])


def read_event(event: Mapping[str, Any]) -> Explained:
    """
    Raises:
        BadUsage: what it says of a decision cannot be read.
    """
    decision = (event.get("additionalEventData") or {}).get("decision")
    if decision is None:
        return Explained(event, ())
    try:
        return Explained(event, tuple(map(Decision.from_json, decision["checks"])))
    except (KeyError, TypeError, ValueError) as problem:
        raise BadUsage(f"event {event.get('eventID')} was written by another version") from problem
