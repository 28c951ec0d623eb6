"""Which host asks: the host token in a request's header, which proves which instance it is.

A host speaks of itself alone: whatever it asks or says is about the instance whose token it has.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import structlog

from hatchway.audit.local import EVENT_SOURCE
from hatchway.control.bearer_tokens import BearerRefused, shown_token
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record
from hatchway.domain.account import AuditRecord
from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.host_token import HOST_TOKEN, HostToken
from hatchway.store import Transaction, log_fields

_HOW_TO_HAVE_ONE: Final = "a host token is needed: hatchway host enroll makes one"

log = structlog.get_logger("hatchway.control")


class KnownHost(NamedTuple):
    """A host whose token is good.

    `kept` is what the store has of its tokens. `fresh`: this one is its next, which takes the former's place
    when it is used.
    """

    token: BearerToken
    kept: HostToken
    fresh: bool

    @property
    def instance_id(self) -> str:
        return self.token.id


def known_host(tx: Transaction, authorization: str) -> KnownHost:
    """
    Args:
        authorization: the header, `Bearer <host token>`.

    Raises:
        BearerRefused: 401 for a token that is not a host's, or no longer.
    """
    return _known(tx, shown_token(HOST_TOKEN, authorization, _HOW_TO_HAVE_ONE))


def _known(tx: Transaction, token: BearerToken) -> KnownHost:
    """
    Raises:
        BearerRefused: 401, as `known_host`.
    """
    kept = tx.host_tokens.get(token.id)
    # A token outlives neither its replacement nor its instance.
    if kept is not None and tx.instances.get(token.id) is not None:
        fresh = kept.next_hash is not None and HOST_TOKEN.matches(token, kept.next_hash)
        if fresh or HOST_TOKEN.matches(token, kept.token_hash):
            return KnownHost(token, kept, fresh)
    raise BearerRefused(401, "the host token is not in force: hatchway host enroll makes a new one")


def put_in_force(plane: ControlPlane, token: BearerToken) -> None:
    """Ends the former token of a host that has used its next one. What fails is tried again the next time.

    Raises:
        BearerRefused: 401 for one that has ended meanwhile.
    """
    now = plane.clock()
    try:
        # By the lock under which others make and end host tokens: it must not put back what they have ended.
        with plane.store.write() as tx:
            host = _known(tx, token)
            if not host.fresh:
                return
            tx.host_tokens.put(replace(host.kept, token_hash=HOST_TOKEN.hash(token), next_hash=None))
            tx.audit_records.add(host_record(plane, "ReplaceHostToken", token.id, now=now))
    except BearerRefused:
        raise
    except Exception as problem:
        # The host is known by either token, so that a login there need not wait for the store.
        log.warning("former host token not ended", instance_id=token.id, **log_fields(problem))


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
