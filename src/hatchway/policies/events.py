"""Why a call was allowed or refused, from its event in the audit trail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hatchway.audit.terms import NO_EVENT
from hatchway.errors import BadUsage
from hatchway.iam import Decision, Outcome
from hatchway.policies.simulation import overall

if TYPE_CHECKING:
    from hatchway.client.api.profile import Profile

_ENCODED = " Encoded authorization failure message:"
"""What follows this in EC2's messages are the decisions themselves, sealed."""

DENIALS: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
    }
)
"""Error codes of who may not, or has not proved who he is; EC2's without whose fault it was."""


@dataclass(frozen=True, slots=True)
class Explained:
    """One event and its decisions, none where no permission was asked about."""

    event: Mapping[str, Any]
    decisions: tuple[Decision, ...]

    @property
    def outcome(self) -> Outcome:
        """Without any decision, a call that failed was refused before one could be made."""
        if not self.decisions and (self.event.get("errorCode") or self._revocation):
            return Outcome.IMPLICIT_DENY
        return overall(self.decisions)

    @property
    def _additional(self) -> Mapping[str, Any]:
        return self.event.get("additionalEventData") or {}

    @property
    def _revocation(self) -> Mapping[str, Any]:
        revocation: Mapping[str, Any] = self._additional.get("revocation") or {}
        return revocation

    @property
    def sentences(self) -> list[str]:
        """Who did what, and what the caller was told."""
        event, identity, additional = self.event, self.event["userIdentity"], self._additional
        who = identity.get("arn") or identity.get("accessKeyId") or "somebody unknown"
        lines = [
            f"{event['eventName']} by {who} from {event['sourceIPAddress']} at {event['eventTime']},"
            f" request {event['requestID']}"
        ]
        if event.get("errorCode"):
            told = event["errorMessage"].partition(_ENCODED)[0]
            lines.append(f"answered with {event['errorCode']}: {told}")
        if additional.get("network"):
            lines.append(f"the network did not let it through: {additional['network']}")
        if self._revocation:
            lines.append(
                f"the tunnel was cut after {additional.get('durationSeconds')} seconds, being allowed no"
                f" more: {self._revocation.get('reason')}"
            )
        elif not self.decisions:
            before = event.get("errorCode")
            lines.append(f"no permission was {'checked before that' if before else 'needed'}")
        return lines

    @property
    def reason(self) -> str:
        """Why it was refused, failed or was cut, in one line; empty of what succeeded."""
        refusal = next((each for each in self.decisions if not each.allowed), None)
        if refusal is not None:
            return refusal.reason
        event, additional = self.event, self._additional
        if additional.get("network"):
            return f"the network: {additional['network']}"
        if self._revocation:
            return f"allowed no more: {self._revocation.get('reason')}"
        if event.get("errorCode"):
            return f"{event['errorCode']}: {str(event.get('errorMessage')).partition(_ENCODED)[0]}"
        return ""

    @property
    def verdict(self) -> str:
        """`denied` by policies, by the network, or for want of a proof of who called; `failed`; or `ok`."""
        if any(not each.allowed for each in self.decisions) or self._additional.get("network"):
            return "denied"
        if self._revocation:
            return "denied"
        code = self.event.get("errorCode")
        if code:
            return "denied" if str(code).removeprefix("Client.") in DENIALS else "failed"
        return "ok"

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


def explain_own(profile: "Profile", request_id: str | None) -> Explained:
    """A denial that the API tells of: the one of a request, or the caller's latest.

    Raises:
        ApiError, NotConfigured: the control plane refuses, knows none, or cannot be asked.
        BadUsage: another version wrote it.
    """
    from hatchway.client.api.denials import explain_denial

    return read_event(explain_denial(profile, request_id))


def read_event(event: Mapping[str, Any]) -> Explained:
    """
    Raises:
        BadUsage: what it says of a decision cannot be read.
    """
    additional = event.get("additionalEventData") or {}
    decision = additional.get("decision") or (additional.get("revocation") or {}).get("decision")
    if decision is None:
        return Explained(event, ())
    try:
        return Explained(event, tuple(map(Decision.from_json, decision["checks"])))
    except NO_EVENT as problem:
        raise BadUsage(f"event {event.get('eventID')} was written by another version") from problem


def read_listed(event: Mapping[str, Any]) -> Explained:
    """The same of one of many, without its decisions where these cannot be read: it is to hide no other."""
    try:
        return read_event(event)
    except BadUsage:
        return Explained(event, ())
