"""Tokens of pages (`NextToken`, `Marker`): the key of the last thing on the page, wrapped
(keyset pagination).

A token is not sealed: all that a forged one does is to begin somewhere else.
"""

import base64
import binascii
from typing import Final

_LONGEST: Final = 512
_LONGEST_TEXT: Final = 256


class InvalidToken(ValueError):
    """No page has this token."""


def make_token(text: str) -> str:
    """The token that `read_token` reads as `text`, which is of ASCII's printable characters."""
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii")


def read_token(token: str) -> str:
    """What a token holds.

    Raises:
        InvalidToken: it is none, or holds what no key of anything does and no database need be asked for.
    """
    try:
        if len(token) > _LONGEST:
            raise InvalidToken
        text = base64.b64decode(token.encode("ascii"), b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        raise InvalidToken from None
    if not text.isprintable() or len(text) > _LONGEST_TEXT:
        raise InvalidToken
    return text
