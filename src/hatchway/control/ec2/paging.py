"""Pages of Describe operations: `MaxResults` and `NextToken` (AWS: "Pagination")."""

from collections.abc import Mapping
from typing import Any, Final

from hatchway.control.page_tokens import InvalidToken, make_token, read_token
from hatchway.protocol import ServiceError

LARGEST_PAGE: Final = 1000


def page_size(parameters: Mapping[str, Any], least: int) -> int:
    """How many results a page has at most.

    Raises:
        ServiceError: `MaxResults` is out of range.
    """
    size = parameters.get("MaxResults")
    if size is None:
        return LARGEST_PAGE
    if not least <= size <= LARGEST_PAGE:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ( {size} ) for parameter maxResults is invalid. "
            f"Expecting a value from {least} to {LARGEST_PAGE}.",
        )
    return int(size)


def next_token(listing: str, last_id: str) -> str:
    """The token of the page after the one that ends with `last_id`. `listing` says what is listed."""
    return make_token(f"{listing} {last_id}")


def position_of(parameters: Mapping[str, Any], listing: str) -> str:
    """The id after which the page begins; empty for the first.

    Raises:
        ServiceError: the token is not of this listing.
    """
    token = parameters.get("NextToken")
    if not token:
        return ""
    try:
        kind, _, last_id = read_token(token).partition(" ")
    except InvalidToken:
        kind = last_id = ""
    if kind != listing:
        raise ServiceError(
            "InvalidParameterValue",
            "Value for parameter nextToken is invalid: it must be one that this operation gave.",
        )
    return last_id
