"""A join token as text: its secret, and what holds it to one CA and to what a gateway is to serve.

    hwj_….FINGERPRINT.BINDING

FINGERPRINT is the SHA-256 of the CA's certificate, BINDING a digest of VPCs and endpoints. Both may be
missing.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Final

from hatchway.domain.bearer_token import InvalidToken
from hatchway.domain.machine import JOIN_TOKEN
from hatchway.errors import BadUsage

_BINDING_BYTES: Final = 9
_BINDING: Final = re.compile(r"([A-Za-z0-9_-]{12})?")


def read_join_token(text: str) -> tuple[str, bytes | None, str | None]:
    """The secret part; the SHA-256 of the CA's certificate, and the `binding`, each if it has one.

    Raises:
        BadUsage: it is no join token.
    """
    secret, *more = text.strip().split(".")
    pin, bound = (*more, "", "")[:2]
    try:
        JOIN_TOKEN.read(secret)
        digest = base64.b64decode(pin + "=", altchars=b"-_", validate=True) if pin else None
        if digest is not None and len(digest) != 32:
            raise InvalidToken
        if len(more) > 2 or (more and not more[-1]) or not _BINDING.fullmatch(bound):
            raise InvalidToken
    except (InvalidToken, ValueError) as problem:
        raise BadUsage(
            "this is no join token: give the whole of what 'hatchway join-token create' has printed, hwj_…"
        ) from problem
    return secret, digest, bound or None


def write_join_token(secret: str, fingerprint: bytes | None, bound: str | None = None) -> str:
    """The text of all.

    Programs from before gateways were bound to endpoints take none with a binding for a token: neither they
    nor a control plane of theirs makes a gateway of it that serves what it should not.
    """
    pin = "" if fingerprint is None else base64.urlsafe_b64encode(fingerprint).rstrip(b"=").decode("ascii")
    return ".".join((secret, pin, bound) if bound else (secret, pin) if pin else (secret,))


def binding(vpcs: Sequence[str], endpoints: Sequence[str]) -> str | None:
    """What a join token says of those that a gateway is to be bound to: enough to tell whether it is so. None
    where it is bound to none."""
    if not vpcs and not endpoints:
        return None
    text = json.dumps([sorted(set(vpcs)), sorted(set(endpoints))])
    digest = hashlib.sha256(text.encode()).digest()[:_BINDING_BYTES]
    return base64.urlsafe_b64encode(digest).decode("ascii")
