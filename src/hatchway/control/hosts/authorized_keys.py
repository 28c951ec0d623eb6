"""What a target host's sshd asks: which keys let this OS user in, at this moment, with this fingerprint.

A host proves with its host token which instance it is and learns of no other's keys.
"""

import re
from typing import Final

import structlog

from hatchway.control.bearer_tokens import BearerRefused
from hatchway.control.hosts.authentication import known_host, put_in_force
from hatchway.control.plane import ControlPlane
from hatchway.domain.text import line_problem
from hatchway.store.tables import pushed_keys

_FINGERPRINT: Final = re.compile(r"SHA256:[0-9A-Za-z+/]{43}")
_LONGEST_USER: Final = 64

log = structlog.get_logger("hatchway.control")


def authorized_keys(
    plane: ControlPlane, *, authorization: str, os_user: str, fingerprint: str, trial: bool = False
) -> list[str]:
    """Lines of authorized_keys (sshd(8)), often none: each a key, and who pushed it as its comment.

    That is an ARN, which the host's command logs. sshd shows it to nobody.

    A host's next token takes the place of its former one when it is first used.

    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).
        fingerprint: as sshd has it in `%f`, `SHA256:…`.
        trial: whether the host only tries whether it is known: there is no line, and no token ends.

    Raises:
        BearerRefused: 401 for a token that is not a host's, 400 for a user or fingerprint that cannot be.
    """
    with plane.store.read() as tx:
        host = known_host(tx, authorization)
        if not is_os_user(os_user) or not _FINGERPRINT.fullmatch(fingerprint):
            raise BearerRefused(400, "user and fingerprint must be as sshd has them in %u and %f")
        keys = tx.pushed_keys.find(
            pushed_keys.c.expires_at > plane.clock(),
            instance_id=host.instance_id,
            os_user=os_user,
            fingerprint=fingerprint,
        )
    if trial:
        return []
    if host.fresh:
        put_in_force(plane, host.token)
    log.info("host asked for keys", instance_id=host.instance_id, os_user=os_user, found=len(keys))
    return [f"{key.public_key} {key.pushed_by}" for key in keys]


def is_os_user(text: str) -> bool:
    """Whether it can be the name of a user as sshd has it in `%u`."""
    return 1 <= len(text) <= _LONGEST_USER and not line_problem(text)
