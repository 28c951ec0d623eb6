"""What machines do, and what is done about them, as events."""

from collections.abc import Mapping
from typing import Any

from hatchway.audit.local import EVENT_SOURCE
from hatchway.control.plane import ControlPlane
from hatchway.control.service_events import service_record
from hatchway.domain.account import AuditRecord
from hatchway.domain.machine import Machine


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
