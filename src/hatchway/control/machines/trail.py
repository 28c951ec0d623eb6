"""What machines do, and what is done about them, as events; refusals are counted."""

from collections.abc import Mapping
from typing import Any, Final

from hatchway.audit.events import unknown_identity
from hatchway.audit.local import EVENT_SOURCE
from hatchway.control.host_authentication import HostRefused
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record, service_source
from hatchway.domain.account import AuditRecord
from hatchway.domain.machine import Machine

_TRAIL_CODES: Final = {
    400: "ValidationException",
    401: "AccessDenied",
    409: "ConflictException",
    429: "ThrottlingException",
}


def count_refusal(plane: ControlPlane, name: str, refused: HostRefused, peer: str, user_agent: str) -> None:
    """Counts one that has no record of its own."""
    source = service_source(plane, unknown_identity(None), peer=peer, user_agent=user_agent)
    plane.refusals.count(source, name, _TRAIL_CODES[refused.status], time=plane.clock())


def machine_record(
    plane: ControlPlane,
    name: str,
    machine: Machine,
    *,
    parameters: Mapping[str, Any],
    answer: Mapping[str, Any],
    peer: str = EVENT_SOURCE,
    user_agent: str = "",
) -> AuditRecord:
    """The event of something that concerns a machine."""
    return service_record(
        plane,
        name,
        now=plane.clock(),
        parameters=parameters,
        answer=answer,
        resources=((plane.arns.machine(machine.id), "Hatchway::Machine"),),
        peer=peer,
        user_agent=user_agent,
    )
