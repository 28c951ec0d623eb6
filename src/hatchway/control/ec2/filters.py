"""Filters of Describe operations (AWS: "List and filter using the CLI and API").

Filters are joined by AND, the values of one by OR. In a value `*` is any run of characters, `?` any one, and
a backslash takes the meaning away from what follows it. Matching is case-sensitive.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from hatchway.domain.endpoint import Endpoint
from hatchway.domain.network import Instance, NetworkInterface, SecurityGroup, Subnet, Vpc
from hatchway.protocol import ServiceError

MOST_VALUES: Final = 200
"""Filter values in one request."""
_TAG: Final = "tag:"
_LONGEST_ECHO: Final = 128

_ANY_RUN: Final = "*"
_ANY_ONE: Final = "?"


Noun = TypeVar("Noun", Endpoint, Instance, NetworkInterface, SecurityGroup, Subnet, Vpc)
"""What is described: each has an id and tags."""

Field = Callable[[Noun], Iterable[str]]
"""The values that a filter of one name looks at; the filter holds when one of them matches."""


def read_filters(
    filters: Sequence[Mapping[str, Any]], fields: Mapping[str, Field[Noun]]
) -> Callable[[Noun], bool]:
    """The predicate that a request's `Filters` make, of the named fields and of tags.

    Raises:
        ServiceError: a filter has no such name, no value, or there are too many values.
    """
    if sum(len(one.get("Values") or ()) for one in filters) > MOST_VALUES:
        raise ServiceError("FilterLimitExceeded", f"A request has at most {MOST_VALUES} filter values.")
    tests = []
    for one in filters:
        name, values = one.get("Name") or "", one.get("Values") or ()
        field = _tag_field(name) or fields.get(name)
        if field is None:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' is invalid")
        if not values:
            raise ServiceError("InvalidParameterValue", f"The filter '{name[:_LONGEST_ECHO]}' has no value")
        tests.append((field, [_tokens(value or "") for value in values]))

    def holds(noun: Noun) -> bool:
        return all(
            any(_matches(pattern, value) for value in field(noun) for pattern in patterns)
            for field, patterns in tests
        )

    return holds


def _tag_field(name: str) -> Field[Any] | None:
    if name == "tag-key":
        return lambda noun: noun.tags.keys()
    if name == "tag-value":
        return lambda noun: noun.tags.values()
    if name.startswith(_TAG):
        key = name[len(_TAG) :]
        return lambda noun: [noun.tags[key]] if key in noun.tags else []
    return None


def _tokens(text: str) -> list[tuple[str, bool]]:
    """The characters of a pattern, each with whether it is a wildcard."""
    tokens: list[tuple[str, bool]] = []
    characters = iter(text)
    for character in characters:
        if character == "\\":
            tokens.append((next(characters, "\\"), False))
        else:
            tokens.append((character, character in (_ANY_RUN, _ANY_ONE)))
    return tokens


def _matches(pattern: list[tuple[str, bool]], text: str) -> bool:
    """Whether the whole text matches, in time of at most the product of both lengths."""
    at = position = 0
    star, resume = -1, 0
    while position < len(text):
        if at < len(pattern) and pattern[at] == (_ANY_RUN, True):
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ((_ANY_ONE, True), (text[position], False)):
            at += 1
            position += 1
        elif star >= 0:
            # The run takes one character more.
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return all(token == (_ANY_RUN, True) for token in pattern[at:])
