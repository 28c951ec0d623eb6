"""Which tasks there are, and who of several control planes does them."""

import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from hatchway.access.signing_keys import SigningKeys
from hatchway.audit.export import Export, FileNotWritten
from hatchway.audit.file_moves import enter_move
from hatchway.audit.key_uses import KeyUses
from hatchway.audit.lookup_fill import LookupFill
from hatchway.audit.refusals import INTERVAL
from hatchway.audit.retention import RetentionRun
from hatchway.audit.service_uses import ServiceUses
from hatchway.control.housekeeping.api_addresses import ApiAddresses
from hatchway.control.housekeeping.dead_workers import DeadWorkers
from hatchway.control.housekeeping.housekeeper import Task
from hatchway.control.housekeeping.purges import (
    DELETED_ENDPOINT_RETENTION,
    SESSION_RETENTION,
    SESSIONS_AT_ONCE,
    DeletionHistory,
    purge_client_tokens,
    purge_deleted_endpoints,
    purge_enrollment_tokens,
    purge_join_tokens,
    purge_last_accessed_jobs,
    purge_pushed_keys,
    purge_sessions,
    purge_terminations,
)
from hatchway.control.machines.certificates import issue_certificates
from hatchway.control.machines.unfinished import purge_unfinished_machines
from hatchway.control.plane import ControlPlane
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.leader import FIRST_MACHINE
from hatchway.settings import LOOPBACK
from hatchway.store import (
    Leadership,
    ServerTime,
    Transaction,
)
from hatchway.store.tables import (
    sessions,
)
from hatchway.transport.own_addresses import reached_at

HOUSEKEEPING: Final = "housekeeping"
AUDIT_FILE: Final = "audit file"
_LONGEST_PLACE: Final = 1024
_EXPORTED_AT_ONCE: Final = 20_000
"""Events of one run: whoever stops the server waits no longer."""

log = structlog.get_logger("hatchway.control.housekeeping")


def record_refusals(plane: ControlPlane) -> None:
    """Enters how many refusals there were that have no record of their own.

    Raises:
        Exception: the store cannot be written; they are still counted.
    """
    taken = plane.refusals.take(lambda: str(uuid.UUID(bytes=plane.random_bytes(16), version=4)))
    if not taken.records:
        return
    try:
        with plane.store.record() as tx:
            tx.audit_records.add(*taken.records)
    except BaseException:
        plane.refusals.give_back(taken)
        raise


def lead(plane: ControlPlane, audit_log: Path | None, *, is_first: bool = False) -> Leadership:
    """This control plane's part in leading, which is its owner's to start and to stop.

    Args:
        audit_log: the file that has the audit trail too; None for none.
        is_first: whether its machine is the first one, which has this to say that it lives.
    """
    host = socket.gethostname()
    roles = {HOUSEKEEPING: host, **({FIRST_MACHINE: host} if is_first else {})}
    if audit_log is not None:
        roles[AUDIT_FILE] = f"{host}:{audit_log.absolute()}"[:_LONGEST_PLACE]

    def moved(tx: Transaction, former: str) -> None:
        if former not in ("", roles[AUDIT_FILE]):
            event_id = str(uuid.UUID(bytes=plane.random_bytes(16), version=4))
            enter_move(tx, plane.arns, event_id, plane.clock(), former=former, now=roles[AUDIT_FILE])

    return Leadership(plane.store, roles, time.monotonic, gained={AUDIT_FILE: moved})


def tasks(
    plane: ControlPlane,
    leadership: Leadership,
    shared_time: ServerTime,
    deleted_endpoint_retention: timedelta = DELETED_ENDPOINT_RETENTION,
) -> tuple[Task, ...]:
    """What whoever leads does for the account, but the urgent tasks and the export of the audit trail."""
    store = leadership.store(HOUSEKEEPING)
    history = DeletionHistory()
    dead_workers = DeadWorkers(replace(plane, store=store, clock=shared_time))
    earlier = shared_time.earlier
    lookups = LookupFill(store, earlier, time.monotonic)

    def led(name: str, every: float, run: Callable[[], object]) -> Task:
        return Task(name, every, run, partial(leadership.leads, HOUSEKEEPING))

    def writing(work: Callable[[Transaction], object]) -> Callable[[], None]:
        def run() -> None:
            with store.write() as tx:
                work(tx)

        return run

    def purge_endpoints() -> None:
        # Looked for first: the write lock is not taken every few seconds for nothing.
        with store.read() as tx:
            if not tx.endpoints.count(state=EndpointState.DELETE_COMPLETE):
                return
        with store.write() as tx:
            purge_deleted_endpoints(tx, earlier(), deleted_endpoint_retention)

    def purge_done_terminations() -> None:
        with store.read() as tx:
            if not tx.terminations.count():
                return
        with store.write() as tx:
            purge_terminations(tx)

    def purge_old_sessions() -> None:
        with store.read() as tx:
            if not tx.sessions.count(sessions.c.expires_at <= earlier() - SESSION_RETENTION):
                return
        purged = SESSIONS_AT_ONCE
        while purged == SESSIONS_AT_ONCE:
            with store.write() as tx:
                purged = purge_sessions(tx, earlier())

    return (
        led("purge deleted endpoints", 5, purge_endpoints),
        led("note uses of access keys", 30, KeyUses(store, earlier).note),
        led("make new events found from their index", 1, lookups.enter),
        led("make older events found", 1, lookups.fill),
        led("make events of older programs found", 30, lookups.catch_up),
        led("delete old events", 1, RetentionRun(store, earlier, time.monotonic).run),
        led("note uses of services", 30, ServiceUses(store, earlier).note),
        led("bury dead gateway workers", 5, dead_workers.end_their_tunnels),
        led("purge pushed keys", 60, writing(lambda tx: purge_pushed_keys(tx, earlier()))),
        led("purge sessions", 60, purge_old_sessions),
        led("purge terminations", 60, purge_done_terminations),
        led("purge enrollment tokens", 600, writing(lambda tx: purge_enrollment_tokens(tx, earlier()))),
        led("purge join tokens", 600, writing(lambda tx: purge_join_tokens(tx, earlier()))),
        led(
            "purge unfinished machines",
            600,
            partial(purge_unfinished_machines, replace(plane, clock=earlier), store),
        ),
        led("purge reports", 3600, writing(lambda tx: purge_last_accessed_jobs(tx, earlier()))),
        led("purge client tokens", 3600, writing(lambda tx: purge_client_tokens(tx, earlier()))),
        led("forget deletions", 3600, writing(history.forget)),
    )


def process_tasks(plane: ControlPlane, api_host: str = LOOPBACK) -> tuple[Task, ...]:
    """What each process does for itself whose API listens at a host's name or address."""
    addresses = ApiAddresses(plane, lambda: reached_at(api_host))

    def count_refusals() -> None:
        record_refusals(plane)

    return (
        Task("record refusals", INTERVAL, count_refusals),
        Task("note the API's addresses", 60, addresses.note),
    )


def urgent_tasks(signing_keys: SigningKeys, leadership: Leadership) -> tuple[Task, ...]:
    """The tasks that somebody waits for: whoever is newly allowed to open tunnels can do so within a
    second."""
    told: set[str] = set()

    def derive() -> None:
        signing_keys.refresh()
        for key_id in sorted(signing_keys.unopened - told):
            log.error(
                "secret cannot be opened",
                access_key_id=key_id,
                problem="it was altered in the store, or sealed under another master key:"
                " restore the right one, or delete this access key and make another",
            )
        told.update(signing_keys.unopened)

    return (Task("derive signing keys", 0.25, derive, partial(leadership.leads, HOUSEKEEPING)),)


def export_to(audit_log: Path, leadership: Leadership) -> Export:
    """What writes the audit trail to a file while this process leads in that: only while it can."""
    export = Export(leadership.store(AUDIT_FILE), audit_log, partial(leadership.confirm, role=AUDIT_FILE))
    leadership.take_only_if(AUDIT_FILE, export.can_write)
    return export


def export_task(export: Export, leadership: Leadership) -> Task:
    """The task that does so. When the file cannot be written, that is left to another control plane."""
    ours = False

    def run() -> None:
        try:
            export.run(_EXPORTED_AT_ONCE)
        except FileNotWritten:
            with suppress(Exception):
                leadership.leave(AUDIT_FILE)
            raise

    def is_ours() -> bool:
        nonlocal ours
        former, ours = ours, leadership.leads(AUDIT_FILE)
        if ours and not former:
            export.resume()
        return ours

    return Task("export audit log", 1, run, is_ours)


def own_tasks(plane: ControlPlane) -> tuple[Task, ...]:
    """The tasks of the control plane that has the private CA's key."""
    return (Task("issue certificates", 2, lambda: issue_certificates(plane)),)
