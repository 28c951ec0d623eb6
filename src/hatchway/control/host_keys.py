"""What a target host's sshd asks: which keys let this OS user in, at this moment, with this fingerprint.

A host proves with its host token which instance it is and learns of no other's keys.
"""

import re
import uuid
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from hatchway import __version__
from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.log import to_record
from hatchway.control.plane import ControlPlane
from hatchway.domain.account import AuditRecord
from hatchway.domain.host_token import HostSecret, InvalidHostToken, host_token_matches, parse_host_token
from hatchway.domain.text import line_problem
from hatchway.store import log_fields
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


def authorized_keys(
    plane: ControlPlane, *, authorization: str, os_user: str, fingerprint: str, trial: bool = False
) -> list[str]:
    """Lines of authorized_keys (sshd(8)), often none.

    A host's next token takes the place of its former one when it is first used.

    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).
        fingerprint: as sshd has it in `%f`, `SHA256:…`.
        trial: whether the host only tries whether it is known: there is no line, and no token ends.

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
        former = stored is not None and host_token_matches(token, stored.token_hash)
        fresh = (
            stored is not None
            and stored.next_hash is not None
            and host_token_matches(token, stored.next_hash)
        )
        # A token outlives neither its replacement nor its instance.
        if not (former or fresh) or tx.instances.get(token.instance_id) is None:
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
    if trial:
        return []
    if fresh:
        _put_in_force(plane, token)
    log.info("host asked for keys", instance_id=token.instance_id, os_user=os_user, found=len(keys))
    return [key.public_key for key in keys]


def _put_in_force(plane: ControlPlane, token: HostSecret) -> None:
    """Ends the former token of a host that has used its next one. What fails is tried again the next time."""
    now = plane.clock()
    try:
        with plane.store.record() as tx:
            stored = tx.host_tokens.get(token.instance_id)
            if stored is None or stored.next_hash is None or not host_token_matches(token, stored.next_hash):
                return
            tx.host_tokens.put(replace(stored, token_hash=stored.next_hash, next_hash=None))
            tx.audit_records.add(_replaced(plane, token.instance_id, now))
    except Exception as problem:
        # The host is known by either token, so that a login there need not wait for the store.
        log.warning("former host token not ended", instance_id=token.instance_id, **log_fields(problem))


def _replaced(plane: ControlPlane, instance_id: str, now: datetime) -> AuditRecord:
    def new_id() -> str:
        return str(uuid.UUID(bytes=plane.random_bytes(16), version=4))

    source = EventSource(
        account=plane.arns.account,
        region=plane.arns.region,
        event_source=EVENT_SOURCE,
        request_id=new_id(),
        source_ip=EVENT_SOURCE,
        user_agent=f"hatchway/{__version__}",
        user_identity={"type": "AWSService", "invokedBy": EVENT_SOURCE},
    )
    body = event(
        source,
        event_id=new_id(),
        time=now,
        name="ReplaceHostToken",
        read_only=False,
        request_parameters={"instanceId": instance_id},
        outcome=Outcome(),
        resources=((plane.arns.instance(instance_id), "AWS::EC2::Instance"),),
        event_type="AwsServiceEvent",
    )
    return to_record(body, now)
