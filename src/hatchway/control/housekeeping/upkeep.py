"""All that a process of a control plane does without being asked, by what it was told."""

import time
from dataclasses import dataclass, replace
from typing import Final

from hatchway.access.signing_keys import SigningKeys
from hatchway.control.housekeeping.housekeeper import Housekeeper, Task
from hatchway.control.housekeeping.tasks import (
    AUDIT_FILE,
    HOUSEKEEPING,
    export_task,
    export_to,
    lead,
    own_tasks,
    process_tasks,
    tasks,
    urgent_tasks,
)
from hatchway.control.metrics import ControlMetrics
from hatchway.control.plane import ControlPlane
from hatchway.settings import Settings
from hatchway.store import MachineMembership, SchemaWatch, ServerTime
from hatchway.store.processes.machine_membership import INTERVAL as MEMBERSHIP_INTERVAL
from hatchway.store.processes.schema_watch import INTERVAL
from hatchway.store.processes.server_time import ASKED_EVERY

_LOOK_AT_THE_FILE: Final = 15.0
"""Seconds between two looks at how far it is behind."""


@dataclass(frozen=True, slots=True)
class Watches:
    """What tells that this process is not to serve the store any more."""

    schema: SchemaWatch
    membership: MachineMembership

    def require(self) -> None:
        """For `Store.only_while`.

        Raises:
            ServesNoMore: it was so the last time.
        """
        self.schema.require_own_so_far()
        self.membership.require()


class Upkeep:
    """Of one process. With `housekeeping` it takes part in doing what is done for the account."""

    def __init__(self, plane: ControlPlane, settings: Settings, watches: Watches) -> None:
        metrics = plane.metrics
        shared_time = ServerTime(plane.store.server_time, plane.clock, time.monotonic)
        always = (
            *process_tasks(plane, settings.api.host),
            Task("look at the schema", INTERVAL, watches.schema.look),
            Task("look for this machine", MEMBERSHIP_INTERVAL, watches.membership.look),
            Task("compare clocks", ASKED_EVERY, shared_time),
        )
        if not settings.housekeeping:
            self._leadership = None
            self._exporter = Housekeeper((), time.monotonic)
            self._housekeepers = [Housekeeper(_watched(always, metrics), time.monotonic)]
            return
        audit_log = settings.data_directory.audit_log if settings.audit_file else None
        # Whoever leads writes of his own accord, also to a store that has just come in the place of his.
        own = plane.store.only_when(watches.schema.require_own)
        is_first = settings.machine_id is None
        self._leadership = leadership = lead(replace(plane, store=own), audit_log, is_first=is_first)
        metrics.watch_leadership(leadership, HOUSEKEEPING)
        exporting: tuple[Task, ...] = ()
        if audit_log is not None:
            metrics.watch_leadership(leadership, AUDIT_FILE)
            export = export_to(audit_log, leadership)
            metrics.watch_audit_file(lambda: export.is_failing)
            exporting = (export_task(export, leadership),)
            look = metrics.watch_export(plane.store, plane.clock)
            always += (Task("measure the audit file's lag", _LOOK_AT_THE_FILE, look),)
        self._exporter = Housekeeper(_watched(exporting, metrics), time.monotonic)
        signing_keys = SigningKeys(
            leadership.store(HOUSEKEEPING),
            plane.vault,
            plane.gateway_vault,
            clock=shared_time,
            region=plane.arns.region,
        )
        metrics.watch_signing_keys(lambda: signing_keys.good_until, lambda: len(signing_keys.unopened))
        self._housekeepers = [
            Housekeeper(_watched(due, metrics), time.monotonic)
            for due in (
                urgent_tasks(signing_keys, leadership),
                (*always, *tasks(plane, leadership, shared_time)),
                own_tasks(plane),
            )
        ]

    def start(self) -> None:
        """Returns when each task has run once, but the writing of the audit file, which may take long."""
        if self._leadership is not None:
            self._leadership.start()
        for housekeeper in self._housekeepers:
            housekeeper.start()
        self._exporter.start(wait=False)

    def stop(self) -> None:
        """Stops all but the writing of the audit file."""
        for housekeeper in self._housekeepers:
            housekeeper.stop()

    def end(self) -> None:
        """Stops that too, when all that has been recorded is written; the process leads no more."""
        self.stop()
        self._exporter.stop(finish=True)
        if self._leadership is not None:
            self._leadership.stop()


def _watched(due: tuple[Task, ...], metrics: ControlMetrics) -> tuple[Task, ...]:
    return tuple(replace(task, run=metrics.timed(task.name, task.run)) for task in due)
