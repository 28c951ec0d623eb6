"""Filters of Describe operations (AWS: "List and filter using the CLI and API").

Filters are joined by AND, the values of one by OR. Matching is case-sensitive; `wildcards` says what a value
may hold. `conditions` has what the store can tell; the rest is looked at in each noun.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, Table

from hatchway.control.ec2.sql_filters import (
    Condition,
    StoredField,
    of_column,
    of_tag,
    of_tag_keys,
    of_tag_values,
)
from hatchway.control.ec2.wildcards import Values, read_values
from hatchway.control.ec2.work_budget import WorkBudget
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Instance, NetworkInterface, SecurityGroup, SecurityGroupRule, Subnet, Vpc
from hatchway.protocol import ServiceError

MOST_FILTERS: Final = 50
MOST_VALUES: Final = 200
"""Filters, and values of all of them, in one request."""
LONGEST: Final = 255
"""Characters of a filter's name or value."""
_TAG: Final = "tag:"
_LONGEST_ECHO: Final = 128


Noun = TypeVar("Noun", Endpoint, Instance, NetworkInterface, SecurityGroup, SecurityGroupRule, Subnet, Vpc)
"""What is described: each has an id and tags."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A field of which the store can tell whether it is what a filter asks for."""

    condition: StoredField


Reader = Callable[[Noun], Iterable[str]]
Field = Reader[Noun] | Column[Any] | Stored
"""What a filter of one name looks at: values of a noun, of which one must match, or what the store has."""


@dataclass(frozen=True, slots=True)
class Filters(Generic[Noun]):
    """A request's filters: what the store can tell, and what is left to look at in each noun.

    `costly` is whether the store may take long to tell it.
    """

    conditions: tuple[Condition, ...]
    tests: tuple[tuple[Reader[Noun], Values], ...]
    costly: bool

    def hold(self, noun: Noun, budget: WorkBudget) -> bool:
        """Whether all of `tests` do.

        Raises:
            ServiceError: as `WorkBudget.spend` does.
        """
        return all(_any_matches(values_of(noun), wanted, budget) for values_of, wanted in self.tests)


def read_filters(
    filters: Sequence[Mapping[str, Any]], fields: Mapping[str, Field[Noun]], listed: Table
) -> Filters[Noun]:
    """A request's `Filters`, of the named fields and of tags; `listed` is the table of the nouns.

    Raises:
        ServiceError: a filter has no such name, no value, or there is too much of something.
    """
    check_limits(filters)
    conditions: list[Condition] = []
    tests: list[tuple[Reader[Noun], Values]] = []
    costly = False
    for one in filters:
        name, values = one.get("Name") or "", one.get("Values") or ()
        field = _tag_field(name, listed) or fields.get(name)
        if field is None:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' is invalid")
        if not values:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' has no value")
        wanted = read_values(value or "" for value in values)
        costly = costly or wanted.costly
        match field:
            case Column():
                conditions.append(of_column(field)(wanted))
            case Stored():
                conditions.append(field.condition(wanted))
            case _:
                tests.append((field, wanted))
    return Filters(tuple(conditions), tuple(tests), costly)


def check_limits(filters: Sequence[Mapping[str, Any]]) -> None:
    """The limits and the sentences are EC2's own."""
    if len(filters) > MOST_FILTERS:
        raise ServiceError(
            "FilterLimitExceeded",
            f"The maximum number of filters specified on a single call is {MOST_FILTERS}",
        )
    if sum(len(one.get("Values") or ()) for one in filters) > MOST_VALUES:
        raise ServiceError(
            "FilterLimitExceeded",
            f"The maximum number of filter values specified on a single call is {MOST_VALUES}",
        )
    for one in filters:
        if len(one.get("Name") or "") > LONGEST:
            raise ServiceError(
                "FilterLimitExceeded", f"The maximum length for a filter name is {LONGEST} characters"
            )
        if any(len(value or "") > LONGEST for value in one.get("Values") or ()):
            raise ServiceError(
                "FilterLimitExceeded", f"The maximum length for a filter value is {LONGEST} characters"
            )


def _any_matches(values: Iterable[str], wanted: Values, budget: WorkBudget) -> bool:
    for value in values:
        budget.spend()
        if wanted.match(value):
            return True
    return False


def _tag_field(name: str, listed: Table) -> Stored | None:
    if name == "tag-key":
        return Stored(of_tag_keys(listed))
    if name == "tag-value":
        return Stored(of_tag_values(listed))
    if name.startswith(_TAG):
        return Stored(of_tag(listed, name[len(_TAG) :]))
    return None
