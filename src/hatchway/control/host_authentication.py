"""Which host asks: the host token in a request's header, which proves which instance it is.

A host speaks of itself alone: whatever it asks or says is about the instance whose token it has.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog

from hatchway.audit.events import unknown_identity
from hatchway.audit.local import EVENT_SOURCE
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record, service_source
from hatchway.domain.account import AuditRecord
from hatchway.domain.host_token import (
    HostSecret,
    InvalidHostToken,
    hash_host_token,
    host_token_matches,
    parse_host_token,
)
from hatchway.domain.ssh_key import HostToken
from hatchway.store import Transaction, log_fields

_SCHEME: Final = "bearer "
_TRAIL_CODES: Final = {
    400: "ValidationException",
    401: "AccessDenied",
    409: "ConflictException",
    429: "ThrottlingException",
}
"""What the trail calls the statuses of refusals."""

log = structlog.get_logger("hatchway.control")


class HostRefused(Exception):
    """The host's request is not answered; `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@contextmanager
def refusals_counted(plane: ControlPlane, name: str, *, peer: str, user_agent: str) -> Iterator[None]:
    """Counts a refusal within, which has no record of its own, for the trail.

    Args:
        name: what the event is called.
    """
    try:
        yield
    except HostRefused as refused:
        source = service_source(plane, unknown_identity(None), peer=peer, user_agent=user_agent)
        plane.refusals.count(source, name, _TRAIL_CODES[refused.status], time=plane.clock())
        raise


class KnownHost(NamedTuple):
    """A host whose token is good.

    `kept` is what the store has of its tokens. `fresh`: this one is its next, which takes the former's place
    when it is used.
    """

    token: HostSecret
    kept: HostToken
    fresh: bool

    @property
    def instance_id(self) -> str:
        return self.token.instance_id


def claimed_host(authorization: str) -> str:
    """The instance whose token a header claims to hold, unverified; empty when it claims none."""
    try:
        return parse_host_token(authorization[len(_SCHEME) :]).instance_id
    except InvalidHostToken:
        return ""


def known_host(tx: Transaction, authorization: str) -> KnownHost:
    """
    Args:
        authorization: the header, `Bearer <host token>` (RFC 6750 section 2.1).

    Raises:
        HostRefused: 401 for a token that is not a host's, or no longer.
    """
    try:
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            raise InvalidHostToken
        token = parse_host_token(authorization[len(_SCHEME) :])
    except InvalidHostToken:
        raise HostRefused(401, "a host token is needed: hatchway host enroll makes one") from None
    return _known(tx, token)


def _known(tx: Transaction, token: HostSecret) -> KnownHost:
    """
    Raises:
        HostRefused: 401, as `known_host`.
    """
    kept = tx.host_tokens.get(token.instance_id)
    # A token outlives neither its replacement nor its instance.
    if kept is not None and tx.instances.get(token.instance_id) is not None:
        fresh = kept.next_hash is not None and host_token_matches(token, kept.next_hash)
        if fresh or host_token_matches(token, kept.token_hash):
            return KnownHost(token, kept, fresh)
    raise HostRefused(401, "the host token is not in force: hatchway host enroll makes a new one")


def put_in_force(plane: ControlPlane, token: HostSecret) -> None:
    """Ends the former token of a host that has used its next one. What fails is tried again the next time.

    Raises:
        HostRefused: 401 for one that has ended meanwhile.
    """
    now = plane.clock()
    try:
        # By the lock under which others make and end host tokens: it must not put back what they have ended.
        with plane.store.write() as tx:
            host = _known(tx, token)
            if not host.fresh:
                return
            tx.host_tokens.put(replace(host.kept, token_hash=hash_host_token(token), next_hash=None))
            tx.audit_records.add(host_record(plane, "ReplaceHostToken", token.instance_id, now=now))
    except HostRefused:
        raise
    except Exception as problem:
        # The host is known by either token, so that a login there need not wait for the store.
        log.warning("former host token not ended", instance_id=token.instance_id, **log_fields(problem))


def host_record(
    plane: ControlPlane,
    name: str,
    instance_id: str,
    *,
    now: datetime,
    parameters: Mapping[str, Any] | None = None,
    answer: Mapping[str, Any] | None = None,
    peer: str = EVENT_SOURCE,
    user_agent: str = "",
) -> AuditRecord:
    """The event of what a host did to itself.

    Args:
        peer: the address that it comes from, where that matters.
    """
    return service_record(
        plane,
        name,
        now=now,
        parameters={"instanceId": instance_id, **(parameters or {})},
        answer=answer,
        resources=((plane.arns.instance(instance_id), "AWS::EC2::Instance"),),
        peer=peer,
        user_agent=user_agent,
    )
