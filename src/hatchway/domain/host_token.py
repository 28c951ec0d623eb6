"""The bearer token by which a host says which instance it is.

`hwh_<instance id>_<secret>`, the secret being base64url without padding. The prefix lets secret scanners
find one that leaked; the instance id lets the control plane find the row whose hash to compare.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from hatchway.domain.ids import INSTANCE_ID

SECRET_SIZE: Final = 32
"""Bytes. A secret this long needs no salt and no slow hash."""

_PREFIX: Final = "hwh"
_TOKEN: Final = re.compile(
    rf"{_PREFIX}_(?P<instance_id>{INSTANCE_ID.pattern})_(?P<secret>[0-9A-Za-z_-]{{43}})"
)


class InvalidHostToken(ValueError):
    """The text is no host token. The message holds nothing of the text."""


@dataclass(frozen=True, slots=True)
class HostSecret:
    """A host token taken apart."""

    instance_id: str
    secret: bytes = field(repr=False)


def format_host_token(instance_id: str, secret: bytes) -> str:
    """The token of an instance.

    Args:
        secret: exactly `SECRET_SIZE` bytes from a cryptographic source of randomness.

    Raises:
        ValueError: the instance id or the length of the secret is wrong.
    """
    if not INSTANCE_ID.fullmatch(instance_id):
        raise ValueError(f"{instance_id!r} is not an instance id")
    if len(secret) != SECRET_SIZE:
        raise ValueError(f"a host token's secret has {SECRET_SIZE} bytes, not {len(secret)}")
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")
    return f"{_PREFIX}_{instance_id}_{encoded}"


def parse_host_token(text: str) -> HostSecret:
    """
    Raises:
        InvalidHostToken: the text is not what `format_host_token` makes.
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise InvalidHostToken("not a host token")
    token = HostSecret(match["instance_id"], base64.urlsafe_b64decode(match["secret"] + "="))
    if format_host_token(token.instance_id, token.secret) != text:
        # The last character of base64 carries bits that mean nothing: one token, one spelling.
        raise InvalidHostToken("not a host token")
    return token


def hash_host_token(token: HostSecret) -> bytes:
    """What the store keeps: 32 bytes from which the token cannot be had back."""
    return hashlib.sha256(format_host_token(token.instance_id, token.secret).encode("ascii")).digest()


def host_token_matches(token: HostSecret, stored_hash: bytes) -> bool:
    """Whether `stored_hash` is of this token, in a time that does not tell how nearly."""
    return hmac.compare_digest(hash_host_token(token), stored_hash)
