"""Tokens that hosts and machines hold: `<prefix>_<id>_<secret>`, the secret in base64url without padding.

The prefix lets secret scanners find one that leaked; the id lets the control plane find the row whose hash to
compare.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

SECRET_SIZE: Final = 32
"""Bytes. A secret this long needs no salt and no slow hash."""


class InvalidToken(ValueError):
    """The text is no such token. The message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token taken apart."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenForm:
    """How tokens of one kind are written: messages call them `noun`, and their ids those of an `owner`."""

    prefix: str
    id_pattern: re.Pattern[str]
    owner: str
    noun: str

    def write(self, token: BearerToken) -> str:
        """
        Raises:
            ValueError: the id or the length of the secret is wrong.
        """
        if not self.id_pattern.fullmatch(token.id):
            raise ValueError(f"{token.id!r} is not an {self.owner} id")
        if len(token.secret) != SECRET_SIZE:
            raise ValueError(f"the secret of a {self.noun} has {SECRET_SIZE} bytes, not {len(token.secret)}")
        encoded = base64.urlsafe_b64encode(token.secret).rstrip(b"=").decode("ascii")
        return f"{self.prefix}_{token.id}_{encoded}"

    def read(self, text: str) -> BearerToken:
        """
        Raises:
            InvalidToken: the text is not what `write` makes.
        """
        pattern = rf"{self.prefix}_({self.id_pattern.pattern})_([0-9A-Za-z_-]{{43}})"
        match = re.fullmatch(pattern, text)
        if match is None:
            raise InvalidToken(f"not a {self.noun}")
        token = BearerToken(match[1], base64.urlsafe_b64decode(match[2] + "="))
        if self.write(token) != text:
            # The last character of base64 carries bits that mean nothing: one token, one spelling.
            raise InvalidToken(f"not a {self.noun}")
        return token

    def hash(self, token: BearerToken) -> bytes:
        """What the store keeps: 32 bytes from which the token cannot be had back."""
        return hashlib.sha256(self.write(token).encode("ascii")).digest()

    def matches(self, token: BearerToken, stored_hash: bytes) -> bool:
        """Whether `stored_hash` is of this token, in constant time."""
        return hmac.compare_digest(self.hash(token), stored_hash)
