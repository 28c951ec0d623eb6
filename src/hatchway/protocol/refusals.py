"""How each service words what is wrong with a request's parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from hatchway.protocol.errors import ServiceError
from hatchway.protocol.violations import Kind, Naming, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from botocore.model import ServiceModel, Shape

_LONGEST_MESSAGE = 2048
_LONGEST_NAME = 256
_MOST_TOLD = 10
"""Violations that one message lists."""


def _decapitalized(name: str) -> str:
    return name[:1].lower() + name[1:]


def not_offered(model: ServiceModel, operation: str) -> str:
    """What is said of an operation that the service has at AWS, and not here."""
    return f"Hatchway does not have the operation {operation} of {model.service_name}."


class Refusal(Protocol):
    """A service's way to refuse."""

    @property
    def naming(self) -> Naming: ...

    def error(self, violations: Sequence[Violation]) -> ServiceError:
        """The error for one or more violations, worst first."""
        ...


def ec2_parameter_name(shape: Shape, name: str) -> str:
    """The name of a member in an EC2 request (smithy.io, "AWS EC2 query protocol", key resolution)."""
    serialization = shape.serialization
    if "queryName" in serialization:
        return str(serialization["queryName"])
    location = str(serialization.get("name", name))
    return location[:1].upper() + location[1:]


class Ec2Refusal:
    """EC2 names one parameter, as it stands in the request."""

    naming = Naming(member=ec2_parameter_name, item=str)

    def error(self, violations: Sequence[Violation]) -> ServiceError:
        violation = violations[0]
        name = ".".join(violation.path)[:_LONGEST_NAME]
        match violation.kind:
            case Kind.UNKNOWN:
                return ServiceError("UnknownParameter", f"The parameter {name} is not recognized")
            case Kind.MISSING:
                return ServiceError(
                    "MissingParameter", f"The request must contain the parameter {_decapitalized(name)}"
                )
        message = f"Value ({violation.value or ''}) for parameter {_decapitalized(name)} is invalid. "
        return ServiceError(
            "InvalidParameterValue", f"{message}It must {violation.demand}."[:_LONGEST_MESSAGE]
        )


_COMMON_NAMING = Naming(member=lambda _, name: _decapitalized(name), item=lambda index: f"{index}.member")


@dataclass(frozen=True, slots=True)
class CommonRefusal:
    """The other services list all violations, members decapitalized.

    Attributes:
        code: of the error.
        unreadable: of the error when a value is of another type than the model's.
        codes: of the error when what is wrong first is within a member that has a code of its own.
    """

    code: str
    unreadable: str
    naming: Naming = _COMMON_NAMING
    codes: Mapping[str, str] = field(default_factory=dict)

    def error(self, violations: Sequence[Violation]) -> ServiceError:
        for violation in violations:
            if violation.kind is Kind.UNREADABLE:
                name = ".".join(violation.path) or "the request"
                return ServiceError(self.unreadable, f"{name} must {violation.demand}"[:_LONGEST_MESSAGE])
        count = len(violations)
        faults = "; ".join(_sentence(violation) for violation in violations[:_MOST_TOLD])
        heading = f"{count} validation error{'s' if count > 1 else ''} detected"
        member = violations[0].path[0] if violations[0].path else ""
        code = self.codes.get(member, self.code)
        return ServiceError(code, f"{heading}: {faults}"[:_LONGEST_MESSAGE])


def _sentence(violation: Violation) -> str:
    name = ".".join(violation.path)
    if violation.kind is Kind.UNKNOWN:
        return f"The parameter {name} is not recognized"
    if violation.kind is Kind.MISSING:
        value = "Value null"
    else:
        value = "Value" if violation.value is None else f"Value '{violation.value}'"
    return f"{value} at '{name}' failed to satisfy constraint: Member must {violation.demand}"


_OF_LOOKUPS = {
    "eventCategory": "InvalidEventCategoryException",
    "lookupAttributes": "InvalidLookupAttributesException",
    "maxResults": "InvalidMaxResultsException",
    "nextToken": "InvalidNextTokenException",
}

REFUSALS: dict[str, Refusal] = {
    "ec2": Ec2Refusal(),
    "iam": CommonRefusal("ValidationError", "ValidationError"),
    "sts": CommonRefusal("ValidationError", "ValidationError"),
    "ec2-instance-connect": CommonRefusal("InvalidArgsException", "SerializationException"),
    "cloudtrail": CommonRefusal("ValidationException", "SerializationException", codes=_OF_LOOKUPS),
    "hatchway": CommonRefusal("ValidationException", "SerializationException"),
}
