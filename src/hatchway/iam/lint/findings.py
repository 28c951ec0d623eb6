"""What lint finds, as data, and every kind of thing that it finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Severity(StrEnum):
    """SARIF's words for: it does not work; it likely does not mean that; it is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Kind(NamedTuple):
    """A kind of finding: how bad it is, and what it is about in a sentence."""

    severity: Severity
    summary: str


KINDS = {
    "malformed-policy": Kind(Severity.ERROR, "The document is no policy."),
    "unknown-action": Kind(Severity.ERROR, "No service has such an action."),
    "resource-never-matches": Kind(
        Severity.WARNING, "The action is about other kinds of resource than the statement names."
    ),
    "resource-must-be-asterisk": Kind(
        Severity.ERROR, "The action has no resource-level support, so that only the resource * matches."
    ),
    "unknown-condition-key": Kind(Severity.ERROR, "No request has such a key."),
    "absent-condition-key": Kind(Severity.WARNING, "A key of AWS that no request to Hatchway carries."),
    "unmeetable-condition": Kind(
        Severity.WARNING, "Every request carries the key with a value that does not meet the condition."
    ),
    "inapplicable-condition-key": Kind(Severity.WARNING, "Requests for the action do not have the key."),
    "operator-type-mismatch": Kind(Severity.ERROR, "The operator does not fit the type of the key."),
    "set-operator-missing": Kind(
        Severity.ERROR, "The key has several values, which only ForAllValues or ForAnyValue looks at."
    ),
    "placeholder": Kind(Severity.ERROR, "A word of the documentation stands where a value should."),
    "nothing-here": Kind(
        Severity.ERROR, "All resources of a statement are of other accounts or regions, so that none matches."
    ),
    "other-account": Kind(Severity.WARNING, "An ARN is of another account or region: nothing has it."),
    "incomplete-arn": Kind(Severity.WARNING, "An ARN lacks segments, and so is about all that begins so."),
    "empty-scope": Kind(Severity.WARNING, "An ARN of EC2 has no region or account, and so is about any."),
    "duration-out-of-range": Kind(Severity.ERROR, "A tunnel lasts from 1 to 86,400 seconds."),
    "host-bits": Kind(Severity.WARNING, "The address of a CIDR range is not the range's first."),
    "allow-not-action": Kind(Severity.WARNING, "Allows all actions but some, those yet to come among them."),
    "allow-not-resource": Kind(Severity.WARNING, "Allows on all resources but some."),
    "for-all-values-unguarded": Kind(
        Severity.WARNING, "ForAllValues is also met by a request that has no such key."
    ),
    "duplicate-statement": Kind(Severity.WARNING, "Another statement says the same, or more."),
    "unreachable-statement": Kind(Severity.WARNING, "A Deny takes back all that it allows."),
    "wide-grant": Kind(Severity.WARNING, "Allows more than anyone is likely to need."),
    "sid-characters": Kind(Severity.NOTE, "AWS takes only letters and digits in a Sid."),
}
"""Every code a finding may have."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: its code (a key of `KINDS`), the place in the document, what is wrong, and what to do."""

    code: str
    place: str
    message: str
    fix: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return KINDS[self.code].severity

    def to_json(self) -> dict[str, Any]:
        """As plain values that JSON holds."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "place": self.place,
            "message": self.message,
            "fix": self.fix,
        }
