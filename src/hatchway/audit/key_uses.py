"""When each access key was last used, as the audit trail tells: it has every call and every tunnel.

So a use costs nothing by itself, and those of gateways need no right to write. A control plane looks every
now and then, without holding up anybody who writes, and notes what is new in one short transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import and_, func, or_, select

from hatchway.audit.events import EVENT_VERSION
from hatchway.audit.local import EVENT_SOURCE
from hatchway.domain.identity import AccessKey, AccessKeyUse
from hatchway.store import Store, Transaction
from hatchway.store.tables import audit_records

_OVERLAP: Final = timedelta(minutes=5)
"""How much later than its time a record may come to be: calls wait for a lock, and clocks differ."""
_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
LONGEST_SERVICE: Final = 64
"""Characters of a service for which there is room."""
_ROWS_AT_ONCE: Final = 20_000
"""Records of before that are looked at in one go."""
_OF_ROOT: Final = f'{{"eventVersion":"{EVENT_VERSION}","userIdentity":{{"type":"Root"'
"""How the events of the root user begin, which have no name of a user."""

_records = audit_records.c
_OF_KEYS: Final = and_(
    _records.access_key_id.is_not(None),
    # A request that proved nothing only claims a key; its event has the type Unknown, and no name.
    or_(_records.user_name.is_not(None), func.substr(_records.body, 1, len(_OF_ROOT)) == _OF_ROOT),
    # Counts of refusals, which were of any service.
    _records.event_source != EVENT_SOURCE,
    # Nobody signs the end of a tunnel, which may come long after.
    _records.event_name != "CloseTunnel",
    # No service is called so that there were no room to note it: who has a gateway's role may say otherwise.
    func.length(_records.event_source) <= LONGEST_SERVICE,
)

Uses = Mapping[str, AccessKeyUse]
"""By the access key's id."""


def last_uses(tx: Transaction, now: datetime) -> Uses:
    """When each key was last used, as far as it is noted, and since then as the trail tells now."""
    noted = {use.access_key_id: use for use in tx.access_key_uses.find()}
    region = tx.account().region
    if not noted:
        # As where no server has run for long enough to note any since the backup that was restored.
        return _newest(noted, _before(tx, now, region)[0])
    since = min(max(use.used_at for use in noted.values()), now)
    return _newest(noted, _since(tx, since - _OVERLAP, region))


class KeyUses:
    """Keeps the notes, for a control plane."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._looked_until: datetime | None = None
        self._looked_back_to: datetime | None = None

    def note(self) -> int:
        """Notes what is new since last time; of how many keys.

        Of keys of which nothing is noted, such as before there were notes, it goes back in the trail bit by
        bit, each time a little further.
        """
        now = self._clock()
        with self._store.read() as tx:
            noted = {use.access_key_id: use for use in tx.access_key_uses.find()}
            keys = tx.access_keys.find()
            region = tx.account().region
            since = self._looked_until or max((use.used_at for use in noted.values()), default=now)
            # A clock that was ahead hides nothing that comes after it was put right.
            since = min(since, now)
            found = _newest(noted, _since(tx, since - _OVERLAP, region))
            before = self._looked_back_to or since
            if _sought(keys, found, before):
                older, before = _before(tx, before, region)
                found = _newest(found, older)
        self._note(found, noted)
        self._looked_until, self._looked_back_to = now, before
        return sum(found[key] != noted.get(key) for key in found)

    def _note(self, found: Uses, noted: Uses) -> None:
        new = [use for key, use in found.items() if use != noted.get(key)]
        if not new:
            return
        with self._store.record() as tx:
            existing = {key.id for key in tx.access_keys.find()}
            # Another control plane may have noted a later one.
            now_noted = {use.access_key_id: use for use in tx.access_key_uses.find()}
            newest = _newest(now_noted, new)
            tx.access_key_uses.put_all(
                use for key, use in newest.items() if key in existing and use != now_noted.get(key)
            )


def _sought(keys: Iterable[AccessKey], found: Uses, before: datetime) -> bool:
    """Whether there are keys of which nothing is known, and that may have been used before a moment."""
    return any(key.id not in found and key.created_at < before for key in keys)


def _since(tx: Transaction, since: datetime, region: str) -> list[AccessKeyUse]:
    query = (
        select(_records.access_key_id, _records.event_source, func.max(_records.event_time))
        .where(_records.event_time > since, _OF_KEYS)
        .group_by(_records.access_key_id, _records.event_source)
    )
    return [_use(row[0], row[1], row[2], region) for row in tx.audit_records.rows(query)]


def _before(tx: Transaction, before: datetime, region: str) -> tuple[list[AccessKeyUse], datetime]:
    """Uses in some records up to a moment, and the moment up to which all records have been looked at."""
    query = (
        select(_records.access_key_id, _records.event_source, _records.event_time, _OF_KEYS)
        .where(_records.event_time <= before)
        .order_by(_records.event_time.desc())
        .limit(_ROWS_AT_ONCE)
    )
    rows = tx.audit_records.rows(query)
    uses = [_use(row[0], row[1], row[2], region) for row in rows if row[3]]
    if len(rows) < _ROWS_AT_ONCE:
        return uses, _BEGINNING
    # At least a little further back: all of these may be of one moment.
    return uses, min(rows[-1][2], before - timedelta(microseconds=1))


def _use(key_id: str, event_source: str, used_at: datetime, region: str) -> AccessKeyUse:
    service = event_source.removesuffix(".amazonaws.com")
    return AccessKeyUse(access_key_id=key_id, used_at=used_at, service=service, region=region)


def _newest(noted: Uses, found: Iterable[AccessKeyUse]) -> dict[str, AccessKeyUse]:
    newest = dict(noted)
    for use in found:
        known = newest.get(use.access_key_id)
        if known is None or known.used_at < use.used_at:
            newest[use.access_key_id] = use
    return newest
