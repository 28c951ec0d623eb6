"""Ids: how they look, how they are derived, how new ones are made.

EC2 ids are a prefix, a dash and 17 hexadecimal digits; IAM ids are a four-letter prefix and 17 characters of
`A-Z2-7` (AWS: "Resource IDs", "IAM identifiers").
"""

import base64
import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Final

ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")
REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]{1,12}){1,3}-[0-9]{1,2}")
INSTANCE_ID: Final = re.compile(r"i-[0-9a-zA-Z]{1,32}")
ENDPOINT_ID: Final = re.compile(r"eice-[0-9a-zA-Z_]{1,64}")


class Kind(StrEnum):
    """The prefix of each kind of id."""

    VPC = "vpc"
    SUBNET = "subnet"
    SECURITY_GROUP = "sg"
    SECURITY_GROUP_RULE = "sgr"
    NETWORK_INTERFACE = "eni"
    INSTANCE = "i"
    ENDPOINT = "eice"
    ENROLLMENT = "et"
    JOIN = "jt"
    MACHINE = "m"
    USER = "AIDA"
    GROUP = "AGPA"
    ROLE = "AROA"
    MANAGED_POLICY = "ANPA"
    ACCESS_KEY = "AKIA"
    TEMPORARY_ACCESS_KEY = "ASIA"


_IAM_KINDS: Final = frozenset(kind for kind in Kind if kind.isupper())
_DIGITS: Final = 17
_UUID_VARIANT: Final = bytes.maketrans(b"0123456789abcdef", b"89ab" * 4)
_UUID_END: Final = 23
_UUID_DIGITS: Final = [
    (2, 1),
    (3, 2),
    (4, 3),
    (7, 5),
    (8, 6),
    (9, 7),
    *((11 + at, 8 + at) for at in range(12)),
]
"""Places in the end of a UUID, and of the random digits that stand there."""


def derived_id(kind: Kind, account: str, name: str) -> str:
    """The id of what a fleet file calls `name`: the same for the same account, kind and name, anywhere."""
    return _id(kind, hashlib.sha256(f"hatchway\0{account}\0{kind}\0{name}".encode()).digest())


def new_id(kind: Kind, randomness: bytes) -> str:
    """A fresh id from at least 12 random bytes.

    Raises:
        ValueError: fewer than 12 bytes were given.
    """
    if len(randomness) < 12:
        raise ValueError("an id needs at least 12 random bytes")
    return _id(kind, randomness)


def time_ordered_uuid(milliseconds: int, randomness: str) -> str:
    """A UUID of version 7 (RFC 9562, section 5.7): those of a later millisecond sort later.

    Args:
        milliseconds: since 1970.
        randomness: 20 random hexadecimal digits, in lower case, of which 74 bits are used.
    """
    (end,) = uuid_ends(randomness)
    return uuid_beginning(milliseconds) + end


@lru_cache(maxsize=1)
def uuid_beginning(milliseconds: int) -> str:
    """The moment that such a UUID begins with: where many are made, most are of the last one's."""
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}"


def uuid_ends(randomness: str) -> list[str]:
    """What follows it in as many UUIDs as there are 20 digits each: together they are made for a third."""
    given, count = randomness.encode(), len(randomness) // 20
    # The version, and the variant of RFC 9562 before two bits of randomness.
    ends = bytearray(b"-7...-....-............" * count)
    for place, digit in _UUID_DIGITS:
        ends[place::_UUID_END] = given[digit::20]
    ends[6::_UUID_END] = given[4::20].translate(_UUID_VARIANT)
    text = ends.decode()
    return [text[at : at + _UUID_END] for at in range(0, len(text), _UUID_END)]


def _id(kind: Kind, entropy: bytes) -> str:
    if kind in _IAM_KINDS:
        # AWS's access key ids are 20 characters; its other IAM ids are 21.
        length = 16 if kind in (Kind.ACCESS_KEY, Kind.TEMPORARY_ACCESS_KEY) else _DIGITS
        return kind + base64.b32encode(entropy).decode("ascii")[:length]
    return f"{kind}-{entropy.hex()[:_DIGITS]}"
