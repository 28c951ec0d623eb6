"""Credential scopes and the signing keys derived for them."""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

TERMINATOR = "aws4_request"


class Scope(NamedTuple):
    """What a signing key is good for: one day (`YYYYMMDD`, UTC), one region, one service."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return scope_text(*self)


def scope_text(date: str, region: str, service: str) -> str:
    """A scope as signatures write it."""
    return f"{date}/{region}/{service}/{TERMINATOR}"


def derive_signing_key(secret_access_key: str, date: str, region: str, service: str) -> bytes:
    """The 32-byte key that signs requests of that scope.

    It is a chain of HMAC-SHA256 over `date` (`YYYYMMDD`), `region`, `service` and the terminator, starting
    from the secret (IAM User Guide, "Create a signed AWS API request", step "Derive a signing key"). Neither
    the secret nor the key of another scope can be had from it.
    """
    key = b"AWS4" + secret_access_key.encode()
    for step in (date, region, service, TERMINATOR):
        key = hmac.digest(key, step.encode(), hashlib.sha256)
    return key
