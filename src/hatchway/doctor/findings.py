"""What a check found. Plain values."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How it is. `unknown`: it could not be looked at, and the finding says why."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """
    Attributes:
        check: what was looked at, in a word or two: always the same words for the same thing.
        seen: what was found, in a sentence without its end.
        advice: what to do about it; empty where there is nothing to do.
    """

    check: str
    status: Status
    seen: str
    advice: str = ""


def ok(check: str, seen: str) -> Finding:
    return Finding(check, Status.OK, seen)


def unknown(check: str, seen: str, advice: str = "") -> Finding:
    return Finding(check, Status.UNKNOWN, seen, advice)


def warning(check: str, seen: str, advice: str) -> Finding:
    return Finding(check, Status.WARNING, seen, advice)


def error(check: str, seen: str, advice: str) -> Finding:
    return Finding(check, Status.ERROR, seen, advice)


def worst(findings: Iterable[Finding]) -> Status:
    """The worst status among them; `OK` of none."""
    order = list(Status)
    return max((finding.status for finding in findings), key=order.index, default=Status.OK)
