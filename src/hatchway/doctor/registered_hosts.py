"""Hosts that registered themselves before the store kept that they did: the audit trail tells it.

Of those gateways do not know that nobody else said where they are (`Instance.registered_itself`).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from hatchway.audit.stored_events import Event, read_event
from hatchway.audit.terms import term
from hatchway.control.hosts.registration import REGISTER_HOST
from hatchway.doctor.findings import Finding, unknown
from hatchway.domain.network import Instance
from hatchway.installation.installation import Installation
from hatchway.store import Transaction

if TYPE_CHECKING:
    from hatchway.store.trail.event_bodies import Place

_PAGE: Final = 500
_MOST_PAGES: Final = 40
"""Of events that are looked through, the newest first."""
_NAMED: Final = 20
_APART: Final = timedelta(seconds=5)
"""A host's event and what it tells of are of one moment, the event's in whole seconds."""


def check_registered_hosts(installation: Installation) -> Iterator[Finding]:
    """Names the hosts that registered themselves with a program that did not note it."""
    with installation.store.read() as tx:
        found = _unmarked(tx)
    if not found:
        return
    named = [f"{each.id} ({', '.join(each.addresses)})" for each in found[:_NAMED]]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    yield unknown(
        "hosts that registered themselves",
        f"{len(found)} did so with an older version, so tunnels to them open even to addresses that"
        f" --never-target excludes: {', '.join(named)}{more}",
        "if one of them has an address that is not its own: hatchway instance deregister, then enroll"
        " it again",
    )


def _unmarked(tx: Transaction) -> list[Instance]:
    found: dict[str, Instance] = {}
    before: Place | None = None
    for _ in range(_MOST_PAGES):
        page = tx.audit_records.newest(
            term("EventName", REGISTER_HOST), since=None, until=None, before=before, limit=_PAGE
        )
        for each in page.found:
            instance = _instance(tx, read_event(each.body), each.event_time)
            if instance is not None:
                found[instance.id] = instance
        before = page.end
        if before is None:
            break
    return sorted(found.values(), key=lambda each: each.id)


def _instance(tx: Transaction, event: Event | None, time: datetime) -> Instance | None:
    """The host that an event tells of, where it is still the one that registered itself then, unmarked."""
    answer = None if event is None else event.get("responseElements")
    instance_id = answer.get("instanceId") if isinstance(answer, dict) else None
    if not isinstance(instance_id, str) or not instance_id.isascii() or "\0" in instance_id:
        return None
    instance = tx.instances.get(instance_id)
    if instance is None or instance.registered_itself:
        return None
    # Somebody may have deregistered it, and registered it himself.
    since = instance.registered_at
    return instance if since is None or abs(since - time) < _APART else None
