"""Events of what hosts and machines do with tokens of their own, which are no principals of the account."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hatchway import __version__
from hatchway.audit.events import EventSource, Outcome, event
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.log import LONGEST_USER_AGENT, to_record
from hatchway.control.plane import ControlPlane
from hatchway.domain.account import AuditRecord


def service_record(
    plane: ControlPlane,
    name: str,
    *,
    now: datetime,
    parameters: Mapping[str, Any],
    answer: Mapping[str, Any] | None = None,
    resources: Sequence[tuple[str, str]],
    peer: str = EVENT_SOURCE,
    user_agent: str = "",
) -> AuditRecord:
    """The event of what was done, by the service in a host's or machine's name.

    Args:
        answer: what came of it, where that matters.
        resources: ARN and type of each.
        peer: the address that it comes from, where that matters.
    """
    identity = {"type": "AWSService", "invokedBy": EVENT_SOURCE}
    body = event(
        service_source(plane, identity, peer=peer, user_agent=user_agent),
        event_id=_new_uuid(plane),
        time=now,
        name=name,
        read_only=False,
        request_parameters=parameters,
        outcome=Outcome() if answer is None else Outcome(response_elements=answer),
        resources=tuple(resources),
        event_type="AwsServiceEvent",
    )
    return to_record(body, now)


def service_source(
    plane: ControlPlane, identity: Mapping[str, Any], *, peer: str, user_agent: str
) -> EventSource:
    """Where such an event comes from."""
    return EventSource(
        account=plane.arns.account,
        region=plane.arns.region,
        event_source=EVENT_SOURCE,
        request_id=_new_uuid(plane),
        source_ip=peer,
        user_agent=user_agent[:LONGEST_USER_AGENT] or f"hatchway/{__version__}",
        user_identity=identity,
    )


def _new_uuid(plane: ControlPlane) -> str:
    return str(uuid.UUID(bytes=plane.random_bytes(16), version=4))
