"""Tags that a request brings along (AWS: "Tag your Amazon EC2 resources", "Tag restrictions")."""

from collections.abc import Mapping, Sequence
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
    tags: dict[str, str] = {}
    for specification in specifications:
        if specification.get("ResourceType") != resource_type:
            given = specification.get("ResourceType") or ""
            raise ServiceError(
                "InvalidParameterValue",
                f"'{given}' is not a valid taggable resource type for this operation: use {resource_type}.",
            )
        for tag in specification.get("Tags") or ():
            key, value = tag.get("Key") or "", tag.get("Value") or ""
            _check_tag(key, value)
            if key.lower() in (known.lower() for known in tags):
                raise ServiceError("InvalidParameterValue", f"Duplicate tag key '{key}' specified.")
            tags[key] = value
            if len(tags) > MOST_TAGS:
                raise ServiceError("TagLimitExceeded", f"A resource has at most {MOST_TAGS} tags.")
    return tags


def _check_tag(key: str, value: str) -> None:
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise ServiceError("InvalidParameterValue", f"Tag keys have 1 to {_LONGEST_KEY} characters.")
    if len(value) > _LONGEST_VALUE:
        raise ServiceError("InvalidParameterValue", f"Tag values have at most {_LONGEST_VALUE} characters.")
    for noun, text in (("key", key), ("value", value)):
        problem = line_problem(text)
        if problem is not None:
            raise ServiceError("InvalidParameterValue", f"The tag {noun} {problem}.")
    if key.lower().startswith(_RESERVED):
        raise ServiceError("InvalidParameterValue", f"Tag keys starting with '{_RESERVED}' are reserved.")
