"""The names that one certificate has: host names, wildcards such as `*.hatchway.example`, and addresses."""

import ipaddress
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

NAMES_SIZE: Final = 60_000
"""Bytes that the names of one certificate may take. Each handshake carries them all, and clients refuse one
that is longer: rustls a message of more than 65,535 bytes, OpenSSL, and so the AWS CLI, of 102,400."""
TOO_MANY_NAMES: Final = (
    "a certificate cannot have so many, because each connection carries it whole. Name endpoints by a"
    " pattern ({endpoint_id}.DOMAIN), or give the certificate a wildcard, which covers all names directly"
    " below a domain (--api-name '*.DOMAIN'; for gateways that join: hatchway join-token create --name"
    " '*.DOMAIN')"
)
_WILDCARD: Final = "*."
_OVERHEAD: Final = 2
"""Bytes with which DER begins each name (X.690)."""


def without_wildcard(name: str) -> str:
    """The domain of a wildcard; any other name as it is."""
    return name.removeprefix(_WILDCARD)


def wildcard_of(name: str) -> str:
    """The wildcard that is for a name too (RFC 9525, section 6.3); for a wildcard there is none, and it is
    empty."""
    return "" if name.startswith(_WILDCARD) else f"{_WILDCARD}{name.partition('.')[2]}"


def is_covered(host: str, names: Iterable[str]) -> bool:
    """Whether a certificate with these names is one of the host's (RFC 9525 section 6).

    A wildcard stands for the whole of the leftmost label, and never for an address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        wanted = host.lower()
        covering = {wanted, wildcard_of(wanted)}
        return any(name.lower() in covering for name in names)
    return str(address) in names


def names_size(names: Iterable[str]) -> int:
    """The bytes that they take in a certificate, or a few more."""
    return sum(len(name) + _OVERHEAD for name in names)


def fitting(names: Iterable[str]) -> list[str]:
    """What one certificate has of these: nothing that a wildcard among them is for, and of the others as
    many, from the first on, as take no more than `NAMES_SIZE`."""
    distinct = dict.fromkeys(names)
    needed = [name for name in distinct if wildcard_of(name) not in distinct]
    sizes = accumulate(len(name) + _OVERHEAD for name in needed)
    return [name for name, size in zip(needed, sizes, strict=True) if size <= NAMES_SIZE]
