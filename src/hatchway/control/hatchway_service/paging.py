"""NextToken of this service's lists, which are in the order of ids."""

from hatchway.control.page_tokens import InvalidToken, make_token, read_token
from hatchway.protocol import ServiceError

DEFAULT_SIZE = 100

__all__ = ["DEFAULT_SIZE", "make_token", "position_of"]


def position_of(token: str | None) -> str:
    """The id after which the page begins; empty for the first.

    Raises:
        ServiceError: it is no token of ours.
    """
    if token is None:
        return ""
    try:
        return read_token(token)
    except InvalidToken:
        raise ServiceError(
            "ValidationException", "Invalid NextToken: use one that this operation gave."
        ) from None
