"""Tokens of pages of events: where the next one begins, sealed together with what was looked up.

So a token leads nowhere but on in its own lookup, and nobody can make one.
"""

import base64
import binascii
from datetime import datetime
from typing import Final

from hatchway.keys.vault import Unsealable, Vault

_LONGEST: Final = 512

Position = tuple[datetime, str]
"""The time and id of the last event of a page."""


class InvalidEventToken(ValueError):
    """The token is not one of this lookup."""


def make_event_token(vault: Vault, lookup: str, position: Position) -> str:
    time, event_id = position
    sealed = vault.seal(f"{time.isoformat()} {event_id}".encode(), _context(lookup))
    return base64.b64encode(sealed).decode("ascii")


def read_event_token(vault: Vault, lookup: str, token: str) -> Position:
    """
    Raises:
        InvalidEventToken: it is not one of this lookup.
    """
    if len(token) > _LONGEST:
        raise InvalidEventToken
    try:
        text = vault.unseal(base64.b64decode(token, validate=True), _context(lookup)).decode()
    except (ValueError, binascii.Error, Unsealable):
        raise InvalidEventToken from None
    time, _, event_id = text.partition(" ")
    return datetime.fromisoformat(time), event_id


def _context(lookup: str) -> str:
    return f"LookupEvents {lookup}"
