"""Taking away what is over."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from hatchway.access.sessions import delete_session
from hatchway.control.iam.last_accessed import RETENTION
from hatchway.domain.endpoint import EndpointState
from hatchway.keys.machines import delete_grant
from hatchway.store import (
    Position,
    Transaction,
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

DELETED_ENDPOINT_RETENTION: Final = timedelta(seconds=60)
"""How long a deleted endpoint stays listed as delete-complete."""
CLIENT_TOKEN_RETENTION: Final = timedelta(hours=24)
SESSION_RETENTION: Final = timedelta(hours=2)
"""How long temporary credentials are known after they have expired: as long as whoever uses them is told so,
and longer than any tunnel that was opened with them."""
SESSIONS_AT_ONCE: Final = 500
"""Of one transaction: the store's write lock is never held for long."""


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
    gone = tx.sessions.find(sessions.c.expires_at <= now - SESSION_RETENTION, limit=SESSIONS_AT_ONCE)
    for session in gone:
        delete_session(tx, session.access_key_id)
    return len(gone)


def purge_last_accessed_jobs(tx: Transaction, now: datetime) -> int:
    """Takes away what nobody can get any more: reports on services last accessed."""
    return tx.last_accessed_jobs.delete_where(last_accessed_jobs.c.created_at <= now - RETENTION)


def purge_terminations(tx: Transaction) -> int:
    """Deletes requests that have been carried out: the terminations of tunnels that have ended."""
    tx.wait_briefly()
    return tx.terminations.delete_where(terminations.c.tunnel_id.not_in(select(tunnels.c.id)))


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
