"""What a target host's sshd asks: which keys let this OS user in, at this moment, with this fingerprint.

A host proves with its host token which instance it is and learns of no other's keys.
"""

import re
from typing import Final

import structlog

from hatchway.control.plane import ControlPlane
from hatchway.domain.host_token import InvalidHostToken, host_token_matches, parse_host_token
from hatchway.domain.text import line_problem
from hatchway.store.tables import pushed_keys

_FINGERPRINT: Final = re.compile(r"SHA256:[0-9A-Za-z+/]{43}")
_LONGEST_USER: Final = 64
_SCHEME: Final = "bearer "

log = structlog.get_logger("hatchway.control")


class HostRefused(Exception):
    """The host's request is not answered; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def claimed_host(authorization: str) -> str:
    """The instance whose token a header claims to hold, unverified; empty when it claims none."""
    try:
        return parse_host_token(authorization[len(_SCHEME) :]).instance_id
    except InvalidHostToken:
        return ""


def authorized_keys(plane: ControlPlane, *, authorization: str, os_user: str, fingerprint: str) -> list[str]:
    """Lines of authorized_keys (sshd(8)), often none.

    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).
        fingerprint: as sshd has it in `%f`, `SHA256:…`.

    Raises:
        HostRefused: 401 for a token that is not a host's, 400 for a user or fingerprint that cannot be.
    """
    with plane.store.read() as tx:
        try:
            if authorization[: len(_SCHEME)].lower() != _SCHEME:
                raise InvalidHostToken
            token = parse_host_token(authorization[len(_SCHEME) :])
        except InvalidHostToken:
            raise HostRefused(401, "a host token is needed: hatchway host enroll makes one") from None
        stored = tx.host_tokens.get(token.instance_id)
        # A token outlives neither its replacement nor its instance.
        if (
            stored is None
            or not host_token_matches(token, stored.token_hash)
            or tx.instances.get(token.instance_id) is None
        ):
            raise HostRefused(401, "the host token is not in force: hatchway host enroll makes a new one")
        if (
            not 1 <= len(os_user) <= _LONGEST_USER
            or line_problem(os_user)
            or not _FINGERPRINT.fullmatch(fingerprint)
        ):
            raise HostRefused(400, "user and fingerprint must be as sshd has them in %u and %f")
        keys = tx.pushed_keys.find(
            pushed_keys.c.expires_at > plane.clock(),
            instance_id=token.instance_id,
            os_user=os_user,
            fingerprint=fingerprint,
        )
    log.info("host asked for keys", instance_id=token.instance_id, os_user=os_user, found=len(keys))
    return [key.public_key for key in keys]
