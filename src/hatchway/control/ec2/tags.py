"""Tags that a request brings along (AWS: "Tag your Amazon EC2 resources", "Tag restrictions")."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hatchway.domain.text import line_problem
from hatchway.protocol import ServiceError

MOST_TAGS: Final = 50
_LONGEST_KEY: Final = 128
_LONGEST_VALUE: Final = 256
_RESERVED: Final = "aws:"


def read_tags(specifications: Sequence[Mapping[str, Any]], resource_type: str) -> dict[str, str]:
    """The tags in a request's `TagSpecifications`, all of which must be for the resource that it makes.

    Keys that differ in case alone are refused, which EC2 does not: to a policy they are one key.

    Raises:
        ServiceError: they are not tags that a resource can have.
    """
    tags: list[Mapping[str, Any]] = []
    for specification in specifications:
        if specification.get("ResourceType") != resource_type:
            given = specification.get("ResourceType") or ""
            raise ServiceError(
                "InvalidParameterValue",
                f"'{given}' is not a valid taggable resource type for this operation: use {resource_type}.",
            )
        tags += specification.get("Tags") or ()
    return read_tag_list(tags)


def read_tag_list(given: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The tags in a list of a request, as `read_tags` reads them.

    Raises:
        ServiceError: they are not tags that a resource can have.
    """
    tags: dict[str, str] = {}
    known = set[str]()
    for tag in given:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        check_key(key)
        _check_value(value)
        if key.lower() in known:
            raise ServiceError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
        known.add(key.lower())
        tags[key] = value
        if len(tags) > MOST_TAGS:
            raise ServiceError("TagLimitExceeded", f"A resource has at most {MOST_TAGS} tags.")
    return tags


def check_key(key: str) -> None:
    """
    Raises:
        ServiceError: no tag of a caller's can have this key.
    """
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise ServiceError("InvalidParameterValue", f"Tag keys have 1 to {_LONGEST_KEY} characters.")
    _check_line("key", key)
    if key.lower().startswith(_RESERVED):
        raise ServiceError("InvalidParameterValue", f"Tag keys starting with '{_RESERVED}' are reserved.")


def _check_value(value: str) -> None:
    if len(value) > _LONGEST_VALUE:
        raise ServiceError("InvalidParameterValue", f"Tag values have at most {_LONGEST_VALUE} characters.")
    _check_line("value", value)


def _check_line(noun: str, text: str) -> None:
    problem = line_problem(text)
    if problem is not None:
        raise ServiceError("InvalidParameterValue", f"The tag {noun} {problem}.")
