"""Pages of Describe operations: `MaxResults` and `NextToken` (AWS: "Pagination")."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

from hatchway.protocol import ServiceError

LARGEST_PAGE: Final = 1000
_LONGEST_TOKEN: Final = 512


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
    return base64.urlsafe_b64encode(f"{listing} {last_id}".encode()).decode("ascii")


def position_of(parameters: Mapping[str, Any], listing: str) -> str:
    """The id after which the page begins; empty for the first.

    The token is not sealed: all that a forged one does is to begin somewhere else.

    Raises:
        ServiceError: the token is not of this listing.
    """
    token = parameters.get("NextToken")
    if not token:
        return ""
    try:
        if len(token) > _LONGEST_TOKEN:
            raise ValueError
        text = base64.b64decode(token.encode("ascii"), b"-_", validate=True).decode("ascii")
        kind, _, last_id = text.partition(" ")
    except (ValueError, binascii.Error):
        kind = last_id = ""
    if kind != listing:
        raise ServiceError(
            "InvalidParameterValue",
            "Value for parameter nextToken is invalid: it must be one that this operation gave.",
        )
    return last_id
