"""Callers that were resolved before, for as long as nothing has changed that decides who they are.

To resolve one takes a statement for each kind of policy that it, its groups and the account may have. Whether
the account has changed since takes one, and whether it was anything of this, one more.
"""

from collections import OrderedDict
from threading import Lock
from typing import Final

from hatchway.access.identities import IDENTITY_TABLES, StoredIdentities, resolve_caller
from hatchway.access.principal import Caller
from hatchway.domain.arns import Arns
from hatchway.store import BEGINNING, Position, Transaction

MOST: Final = 4096
"""Callers that are remembered; those that have not called for longest are forgotten first."""


class Callers:
    """Of one store. Thread-safe."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        # By access key ID: the caller, and the last position of the account in which it was that.
        self._known: OrderedDict[str, tuple[Position, Caller]] = OrderedDict()
        self._lock = Lock()

    def resolve(self, tx: Transaction, arns: Arns, key_id: str) -> Caller | None:
        """As `resolve_caller` does in the view of `tx`, in which no identity has been changed yet."""
        position = tx.position()
        with self._lock:
            since, caller = self._known.get(key_id, (BEGINNING, None))
        # Of a revision that is later than this view, nothing is known here.
        if (
            caller is None
            or since.revision > position.revision
            or (since != position and _touched(tx, since, key_id, caller))
        ):
            caller = resolve_caller(StoredIdentities(tx, arns), key_id)
        if caller is not None:
            self._remember(key_id, position, caller)
        return caller

    def _remember(self, key_id: str, position: Position, caller: Caller) -> None:
        with self._lock:
            since, _ = self._known.get(key_id, (BEGINNING, None))
            if since.revision <= position.revision:
                self._known[key_id] = position, caller
            self._known.move_to_end(key_id)
            while len(self._known) > self._most:
                self._known.popitem(last=False)


def _touched(tx: Transaction, since: Position, key_id: str, caller: Caller) -> bool:
    """Whether anything has changed that decides who a caller is. Other users' rows do not."""
    user_name = caller.principal.user_name or ""
    issuer = caller.principal.issuer
    own = {
        "access_keys": key_id,
        "sessions": key_id,
        "users": user_name,
        "memberships": user_name,
        "roles": "" if issuer is None else issuer.name,
    }
    return tx.touched(since, IDENTITY_TABLES, own)
