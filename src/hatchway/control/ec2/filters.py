"""Filters of Describe operations (AWS: "List and filter using the CLI and API").

Filters are joined by AND, the values of one by OR. Matching is case-sensitive; `wildcards` says what a value
may hold. What a column of the store holds is compared there, unless the values have wildcards.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, String, type_coerce

from hatchway.control.ec2.wildcards import Values, read_values
from hatchway.control.ec2.work_budget import WorkBudget
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Instance, NetworkInterface, SecurityGroup, Subnet, Vpc
from hatchway.protocol import ServiceError

MOST_FILTERS: Final = 50
MOST_VALUES: Final = 200
"""Filters, and values of all of them, in one request."""
LONGEST: Final = 255
"""Characters of a filter's name or value."""
_TAG: Final = "tag:"
_LONGEST_ECHO: Final = 128


Noun = TypeVar("Noun", Endpoint, Instance, NetworkInterface, SecurityGroup, Subnet, Vpc)
"""What is described: each has an id and tags."""

Reader = Callable[[Noun], Iterable[str]]
Field = Reader[Noun] | Column[Any]
"""What a filter of one name looks at: the values of a noun, of which one must match, or the column that a
field of the noun is kept in."""


@dataclass(frozen=True, slots=True)
class Filters(Generic[Noun]):
    """A request's filters: what the store can tell, and what is left to look at in each noun."""

    conditions: tuple[Any, ...]
    tests: tuple[tuple[Reader[Noun], Values], ...]

    def hold(self, noun: Noun, budget: WorkBudget) -> bool:
        """Whether all of `tests` do.

        Raises:
            ServiceError: as `WorkBudget.spend` does.
        """
        return all(_any_matches(values_of(noun), wanted, budget) for values_of, wanted in self.tests)


def read_filters(filters: Sequence[Mapping[str, Any]], fields: Mapping[str, Field[Noun]]) -> Filters[Noun]:
    """A request's `Filters`, of the named fields and of tags.

    Raises:
        ServiceError: a filter has no such name, no value, or there is too much of something.
    """
    _check_limits(filters)
    conditions: list[Any] = []
    tests: list[tuple[Reader[Noun], Values]] = []
    for one in filters:
        name, values = one.get("Name") or "", one.get("Values") or ()
        field = _tag_field(name) or fields.get(name)
        if field is None:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' is invalid")
        if not values:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' has no value")
        wanted = read_values(value or "" for value in values)
        if not isinstance(field, Column):
            tests.append((field, wanted))
        elif wanted.patterns:
            tests.append((_field_of(field), wanted))
        else:
            # As text: of an enumeration's column one may ask for what it never holds.
            conditions.append(type_coerce(field, String).in_(wanted.literals))
    return Filters(tuple(conditions), tuple(tests))


def _check_limits(filters: Sequence[Mapping[str, Any]]) -> None:
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


def _field_of(column: Column[Any]) -> Callable[[Any], Iterable[str]]:
    def values_of(noun: Any) -> list[str]:
        value = getattr(noun, column.name)
        return [] if value is None else [str(value)]

    return values_of


def _tag_field(name: str) -> Callable[[Any], Iterable[str]] | None:
    if name == "tag-key":
        return lambda noun: noun.tags.keys()
    if name == "tag-value":
        return lambda noun: noun.tags.values()
    if name.startswith(_TAG):
        key = name[len(_TAG) :]
        return lambda noun: [noun.tags[key]] if key in noun.tags else []
    return None
