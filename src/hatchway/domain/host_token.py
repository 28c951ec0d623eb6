"""The bearer token by which a host says which instance it is: `hwh_<instance id>_<secret>`."""

from dataclasses import dataclass, field
from typing import Final

from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken, InvalidToken, TokenForm
from hatchway.domain.ids import INSTANCE_ID

__all__ = [
    "SECRET_SIZE",
    "HostSecret",
    "InvalidHostToken",
    "format_host_token",
    "hash_host_token",
    "host_token_matches",
    "parse_host_token",
]

_FORM: Final = TokenForm("hwh", INSTANCE_ID, "instance", "host token")


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
    return _FORM.write(BearerToken(instance_id, secret))


def parse_host_token(text: str) -> HostSecret:
    """
    Raises:
        InvalidHostToken: the text is not what `format_host_token` makes.
    """
    try:
        token = _FORM.read(text)
    except InvalidToken as problem:
        raise InvalidHostToken(str(problem)) from None
    return HostSecret(token.id, token.secret)


def hash_host_token(token: HostSecret) -> bytes:
    """What the store keeps: 32 bytes from which the token cannot be had back."""
    return _FORM.hash(_bearer(token))


def host_token_matches(token: HostSecret, stored_hash: bytes) -> bool:
    """Whether `stored_hash` is of this token, in a time that does not tell how nearly."""
    return _FORM.matches(_bearer(token), stored_hash)


def _bearer(token: HostSecret) -> BearerToken:
    return BearerToken(token.instance_id, token.secret)
