"""When each user and role last tried each action, as the audit trail tells: it has every call and tunnel.

As with the uses of keys (`key_uses`), a control plane looks every now and then and notes what is new; and of
the trail of before there were notes, a bit each time, until all of it is noted.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, func, select

from hatchway.audit.events import EVENT_VERSION
from hatchway.audit.local import EVENT_SOURCE
from hatchway.audit.stored_events import can_be_stored
from hatchway.audit.terms import NO_EVENT
from hatchway.domain.identity import OwnerKind, ServiceUse, ServiceUsesNoted
from hatchway.store import Store, Transaction
from hatchway.store.tables import audit_records

_OVERLAP: Final = timedelta(minutes=5)
"""How much later than its time a record may come to be: calls wait for a lock, and clocks differ."""
_ROWS_AT_ONCE: Final = 20_000
"""Records of before that are looked at in one go."""
_BODIES_AT_ONCE: Final = 2_000
"""Of which the callers of so many are read: one of each session of a role, as only the event says which role
it is."""
_IDENTITY: Final = '"userIdentity":'
_LONGEST_IDENTITY: Final = 16_384
"""Characters up to the end of it. Who has a gateway's role may enter any number of 2 MiB."""
_DECODER: Final = json.JSONDecoder()
_OF_USERS: Final = f'{{"eventVersion":"{EVENT_VERSION}","userIdentity":{{"type":"IAMUser"'
_OF_ROLES: Final = f'{{"eventVersion":"{EVENT_VERSION}","userIdentity":{{"type":"AssumedRole"'
"""How events begin of users, sessions of theirs among them, and of sessions of roles."""
LONGEST: Final = (128, 64, 128)
"""Characters of a name, a service and an action for which there is room."""
_MICROSECOND: Final = timedelta(microseconds=1)

_records = audit_records.c

Key = tuple[OwnerKind, str, str, str]


class ServiceUses:
    """Keeps the notes, for a control plane."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[Key, datetime] = {}
        """What the last look has found, which the next finds again."""
        self._roles: dict[str, str] = {}
        """By their sessions' access keys, the roles that it has found."""

    def note(self) -> int:
        """Notes what is new since last time, and a bit of what was before; how many notes it made."""
        now = self._clock()
        with self._store.read() as tx:
            (noted, *_) = tx.service_uses_noted.find() or [
                ServiceUsesNoted(id=1, looked_until=now, back_to=now)
            ]
            # A clock that was ahead hides nothing that comes after it was put right.
            since = min(noted.looked_until, now) - _OVERLAP
            found, roles = _uses(tx, self._roles, _records.event_time > since)
            new = {key: time for key, time in found.items() if self._known.get(key) != time}
            older, back_to = ({}, None) if noted.back_to is None else _before(tx, noted.back_to)
        if new or back_to != noted.back_to:
            with self._store.record() as tx:
                # Another control plane may have noted a later one.
                later = {
                    key: time
                    for key, time in new.items()
                    if (use := tx.service_uses.get(*key)) is None or use.used_at < time
                }
                tx.service_uses.put_all(map(_use, later.items()))
                # Whatever is noted already is newer.
                tx.service_uses.add_all(map(_use, older.items()))
                tx.service_uses_noted.put(ServiceUsesNoted(id=1, looked_until=now, back_to=back_to))
        self._known, self._roles = found, roles
        return len({*new, *older})


def _before(tx: Transaction, before: datetime) -> tuple[dict[Key, datetime], datetime | None]:
    """Uses in some records up to a moment, and up to when there are more; None when there are none."""
    times = select(_records.event_time).where(_records.event_time <= before)
    rows = tx.audit_records.rows(times.order_by(_records.event_time.desc()).limit(_ROWS_AT_ONCE))
    if not rows:
        return {}, None
    since = rows[-1][0]
    uses, _ = _uses(tx, {}, _records.event_time >= since, _records.event_time <= before)
    return uses, None if len(rows) < _ROWS_AT_ONCE else since - _MICROSECOND


def _uses(
    tx: Transaction, known: Mapping[str, str], *when: Any
) -> tuple[dict[Key, datetime], dict[str, str]]:
    """When each user and role last tried each action, in some records; and the roles by access key.

    `known` are roles by the access keys of their sessions, whose events need not be read again.
    """
    of_roles, roles = _of_roles(tx, known, *when)
    found: dict[Key, datetime] = {}
    for key, time in (*_of_users(tx, *when), *of_roles):
        if _has_room(key):
            found[key] = max(found.get(key, time), time)
    return found, roles


def _has_room(key: Key) -> bool:
    """Whether it can be noted, as all can be that anybody has done: who has a gateway's role may have entered
    other things."""
    return all(
        isinstance(text, str) and len(text) <= most for text, most in zip(key[1:], LONGEST, strict=True)
    )


def _of_users(tx: Transaction, *when: Any) -> Iterator[tuple[Key, datetime]]:
    for name, source, action, time, _ in _latest(tx, _records.user_name, _OF_USERS, *when):
        yield (OwnerKind.USER, name, _service(source), action), time


def _of_roles(
    tx: Transaction, known: Mapping[str, str], *when: Any
) -> tuple[list[tuple[Key, datetime]], dict[str, str]]:
    """Of sessions that are not known, at most `_BODIES_AT_ONCE`; the others come with the next look."""
    latest = _latest(tx, _records.access_key_id, _OF_ROLES, *when)
    roles = {key_id: known[key_id] for key_id, *_ in latest if key_id in known}
    events = {key_id: event_id for key_id, *_, event_id in latest if key_id not in known}
    wanted = list(events.values())[:_BODIES_AT_ONCE]
    if wanted:
        beginning = func.substr(_records.body, 1, _LONGEST_IDENTITY)
        bodies = select(_records.access_key_id, beginning).where(_records.event_id.in_(wanted))
        for key_id, body in tx.audit_records.rows(bodies):
            with suppress(*NO_EVENT):
                identity, _ = _DECODER.raw_decode(body, body.index(_IDENTITY) + len(_IDENTITY))
                issuer = identity["sessionContext"]["sessionIssuer"]
                if can_be_stored(issuer["userName"]):
                    roles[key_id] = issuer["userName"]
    uses = [
        ((OwnerKind.ROLE, roles[key_id], _service(source), action), time)
        for key_id, source, action, time, _ in latest
        if key_id in roles
    ]
    return uses, roles


def _latest(tx: Transaction, who: Any, beginning: str, *when: Any) -> list[tuple[Any, ...]]:
    """For each one and action: who, source and name of the event, its latest time, and the id of one event.

    The newest come first.
    """
    what = (who, _records.event_source, _records.event_name)
    query = _signed(select(*what, func.max(_records.event_time), func.max(_records.event_id)))
    newest_first = query.order_by(func.max(_records.event_time).desc())
    return tx.audit_records.rows(newest_first.where(_begins(beginning), *when).group_by(*what))


def _begins(text: str) -> ColumnElement[bool]:
    return func.substr(_records.body, 1, len(text)) == text


def _signed(query: Select[Any]) -> Select[Any]:
    """Of what somebody has signed: not counts of refusals, commands on the server, nor ends of tunnels."""
    return query.where(
        _records.access_key_id.is_not(None),
        _records.event_source != EVENT_SOURCE,
        _records.event_name != "CloseTunnel",
    )


def _service(event_source: str) -> str:
    return event_source.removesuffix(".amazonaws.com")


def _use(found: tuple[Key, datetime]) -> ServiceUse:
    (kind, name, service, action), time = found
    return ServiceUse(owner_kind=kind, owner_name=name, service=service, action=action, used_at=time)
