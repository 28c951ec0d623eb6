"""Machines whose joining was interrupted, and that never came back: taken away after a day."""

from datetime import timedelta
from typing import Final

import structlog

from hatchway.control.machines.trail import machine_record
from hatchway.control.plane import ControlPlane
from hatchway.keys.machines import delete_grant
from hatchway.store import Store
from hatchway.store.tables import machines

RETENTION: Final = timedelta(hours=24)
"""As long as a join token may last: until then such a machine can go on."""

log = structlog.get_logger("hatchway.control")


def purge_unfinished_machines(plane: ControlPlane, store: Store) -> int:
    """Takes away those that began to join a day ago and have not come back since; how many."""
    overdue = (
        machines.c.seen_at <= machines.c.joined_at,
        machines.c.joined_at <= plane.clock() - RETENTION,
    )
    # Looked for first: the write lock is not taken for nothing.
    with store.read() as tx:
        if not tx.machines.count(*overdue):
            return 0
    with store.write() as tx:
        gone = tx.machines.find(*overdue)
        for machine in gone:
            tx.machines.delete(machine.id)
            delete_grant(tx, machine.id)
            tx.audit_records.add(
                machine_record(
                    plane,
                    "RemoveMachine",
                    machine,
                    parameters={"machineId": machine.id},
                    answer={"name": machine.name, "role": machine.role.value, "unfinished": True},
                )
            )
    for machine in gone:
        log.warning("machine taken out that never finished joining", machine_id=machine.id, name=machine.name)
    return len(gone)
