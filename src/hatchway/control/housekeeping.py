"""What the control plane does without being asked. Each task may run at any time, and twice.

Of several control planes one does it (`hatchway.store.leadership`), but for what is about the process itself.
What it writes as the leader goes through the leader's store, which refuses what comes too late.
"""

import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Final

import structlog
from sqlalchemy import select

from hatchway.access.machines import delete_grant
from hatchway.access.sessions import delete_session
from hatchway.access.signing_keys import SigningKeys
from hatchway.audit.export import Export, FileNotWritten
from hatchway.audit.file_moves import enter_move
from hatchway.audit.key_uses import KeyUses
from hatchway.audit.lookup_fill import LookupFill
from hatchway.audit.refusals import INTERVAL
from hatchway.audit.retention import RetentionRun
from hatchway.audit.service_uses import ServiceUses
from hatchway.control.api_addresses import ApiAddresses
from hatchway.control.dead_workers import DeadWorkers
from hatchway.control.iam.last_accessed import RETENTION
from hatchway.control.machines.certificates import issue_certificates
from hatchway.control.machines.unfinished import purge_unfinished_machines
from hatchway.control.plane import ControlPlane
from hatchway.domain.endpoint import EndpointState
from hatchway.domain.leader import FIRST_MACHINE
from hatchway.settings import LOOPBACK
from hatchway.store import (
    Leadership,
    LeadershipLost,
    Position,
    ServerTime,
    ServesNoMore,
    Transaction,
    log_fields,
)
from hatchway.store.tables import (
    client_tokens,
    endpoints,
    enrollment_tokens,
    join_tokens,
    last_accessed_jobs,
    pushed_keys,
    sessions,
    terminations,
    tunnels,
)
from hatchway.transport.own_addresses import reached_at

DELETED_ENDPOINT_RETENTION: Final = timedelta(seconds=60)
"""How long a deleted endpoint stays listed as delete-complete."""
CLIENT_TOKEN_RETENTION: Final = timedelta(hours=24)
SESSION_RETENTION: Final = timedelta(hours=2)
"""How long temporary credentials are known after they have expired: as long as whoever uses them is told so,
and longer than any tunnel that was opened with them."""
_SESSIONS_AT_ONCE: Final = 500
"""Of one transaction: the store's write lock is never held for long."""
LONGEST_RETRY: Final = 5.0
"""Seconds after which a task that failed is tried again, if it is not due sooner."""
SHORTEST_RETRY: Final = 1.0
"""Seconds before which a task that failed is not tried again: each time, the log has a line of it."""

OTHERS_LOOK: Final = 0.25
"""Seconds after which to look again at a task that another control plane does."""
HOUSEKEEPING: Final = "housekeeping"
AUDIT_FILE: Final = "audit file"
_LONGEST_PLACE: Final = 1024
_EXPORTED_AT_ONCE: Final = 20_000
"""Events of one run: whoever stops the server waits no longer."""

log = structlog.get_logger("hatchway.control.housekeeping")


def purge_deleted_endpoints(tx: Transaction, now: datetime, retention: timedelta) -> int:
    """Takes away endpoints that were deleted longer ago than `retention`; how many there were."""
    return tx.endpoints.delete_where(
        endpoints.c.deleted_at <= now - retention, state=EndpointState.DELETE_COMPLETE
    )


def purge_pushed_keys(tx: Transaction, now: datetime) -> int:
    """Takes away SSH keys that have expired. They have been invalid since then; this only deletes the
    rows."""
    return tx.pushed_keys.delete_where(pushed_keys.c.expires_at <= now)


def purge_client_tokens(tx: Transaction, now: datetime) -> int:
    """Takes away client tokens after a day."""
    return tx.client_tokens.delete_where(client_tokens.c.created_at <= now - CLIENT_TOKEN_RETENTION)


def purge_enrollment_tokens(tx: Transaction, now: datetime) -> int:
    """Deletes enrollment tokens by which no host can register any more."""
    return tx.enrollment_tokens.delete_where(enrollment_tokens.c.expires_at <= now)


def purge_join_tokens(tx: Transaction, now: datetime) -> int:
    """Deletes join tokens by which no machine can join any more."""
    gone = tx.join_tokens.find(join_tokens.c.expires_at <= now)
    for token in gone:
        delete_grant(tx, token.id)
    return tx.join_tokens.delete_where(join_tokens.c.id.in_([token.id for token in gone]))


def purge_sessions(tx: Transaction, now: datetime) -> int:
    """Takes away temporary credentials that expired some time ago; how many there were."""
    gone = tx.sessions.find(sessions.c.expires_at <= now - SESSION_RETENTION, limit=_SESSIONS_AT_ONCE)
    for session in gone:
        delete_session(tx, session.access_key_id)
    return len(gone)


def purge_last_accessed_jobs(tx: Transaction, now: datetime) -> int:
    """Takes away what nobody can get any more: reports on services last accessed."""
    return tx.last_accessed_jobs.delete_where(last_accessed_jobs.c.created_at <= now - RETENTION)


def purge_terminations(tx: Transaction) -> int:
    """Deletes requests that have been carried out: the terminations of tunnels that have ended."""
    return tx.terminations.delete_where(terminations.c.tunnel_id.not_in(select(tunnels.c.id)))


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


@dataclass(slots=True)
class DeletionHistory:
    """Drops tombstones that every follower has had an hour or more to see."""

    _seen: Position | None = field(default=None, init=False)

    def forget(self, tx: Transaction) -> None:
        """Forgets what was deleted before the previous call."""
        # Of a store that was restored meanwhile, nothing has been seen yet.
        if self._seen is not None and tx.follows(self._seen):
            tx.forget_deletions(self._seen.revision)
        self._seen = tx.position()


@dataclass(frozen=True, slots=True)
class Task:
    """Something to do every so many seconds, while it `is_ours`."""

    name: str
    every: float
    run: Callable[[], object]
    is_ours: Callable[[], bool] = lambda: True


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
        purged = _SESSIONS_AT_ONCE
        while purged == _SESSIONS_AT_ONCE:
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


class Housekeeper:
    """Runs every task once, then when it is due, in a thread of its own.

    One that fails is logged, and tried again soon. One that is another's is looked at again soon.
    """

    def __init__(self, due: tuple[Task, ...], monotonic: Callable[[], float]) -> None:
        self._tasks = due
        self._monotonic = monotonic
        self._next_at: dict[Task, float] = {}
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self, *, wait: bool = True) -> None:
        """Returns when each task has run once, unless it is not to `wait`: gateways find today's signing keys
        from the start."""
        for task in self._tasks:
            if wait:
                self._run_one(task)
            else:
                self._next_at[task] = self._monotonic()
        self._thread.start()

    def stop(self, *, finish: bool = False) -> None:
        """Stops it, once the running task is done. With `finish`, each runs once more."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if finish:
            for task in self._tasks:
                self._run_one(task)

    def _run(self) -> None:
        while not self._stopping.is_set():
            now = self._monotonic()
            for task in self._tasks:
                if self._next_at[task] <= now and not self._stopping.is_set():
                    self._run_one(task)
            soonest = min(self._next_at.values(), default=None)
            self._stopping.wait(None if soonest is None else max(0.0, soonest - self._monotonic()))

    def _run_one(self, task: Task) -> None:
        began = self._monotonic()
        if not task.is_ours():
            self._next_at[task] = began + min(task.every, OTHERS_LOOK)
            return
        try:
            task.run()
        except LeadershipLost:
            self._next_at[task] = began + OTHERS_LOOK
        except ServesNoMore:
            # Which has its own line.
            self._next_at[task] = began + task.every
        except Exception as problem:
            log.error("housekeeping failed", task=task.name, **log_fields(problem))
            self._next_at[task] = self._monotonic() + max(SHORTEST_RETRY, min(task.every, LONGEST_RETRY))
        else:
            self._next_at[task] = began + task.every
