"""A cache: what is known of access keys from calls before, while nothing has changed that it depends on.

To find out who holds a key takes a statement for each kind of policy that it, its groups and the account may
have, and two for what it is verified with. Whether the account has changed since takes one, and whether it
was anything of this, one more. Both are asked for each call, in the view in which it is answered: what has
been revoked by whichever control plane is good for no call that begins afterwards, and where that cannot be
asked no call is answered.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from hatchway.access.identities import IDENTITY_TABLES, StoredIdentities, resolve_caller
from hatchway.access.principal import Caller
from hatchway.domain.arns import Arns
from hatchway.domain.session import Session
from hatchway.store import Position, Transaction

MOST: Final = 4096
"""Callers that are remembered; those that have not called for longest are forgotten first."""
MOST_CLAIMED: Final = 1024
"""The same of keys with which nobody has signed yet, those that are none among them."""
_LONGEST_ID: Final = 128


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an access key in one view of the store.

    Attributes:
        position: the last in which it was so.
        session: of temporary credentials.
        sealed: its secret, as the store has it; None where there is no such key.
        caller: who holds it; None before somebody has signed with it.
    """

    position: Position
    session: Session | None
    sealed: bytes | None
    caller: Caller | None


class Callers:
    """Of one store. Thread-safe.

    What is known of a key is remembered from the first time that somebody claims to sign with it, whether it
    exists or not: from how long it takes nobody is told. Strangers' claims take no caller's place.
    """

    def __init__(self, most: int = MOST, most_claimed: int = MOST_CLAIMED) -> None:
        self._most = most, most_claimed
        self._known = OrderedDict[str, Known](), OrderedDict[str, Known]()
        self._lock = Lock()

    def look_up(self, tx: Transaction, key_id: str) -> Known:
        """What is known of an access key in the view of `tx`, in which no identity has been changed yet."""
        position = tx.position()
        with self._lock:
            known = next((some[key_id] for some in self._known if key_id in some), None)
        # Of a revision that is later than this view, nothing is known here.
        if (
            known is None
            or known.position.revision > position.revision
            or (known.position != position and _touched(tx, key_id, known))
        ):
            known = _read(tx, position, key_id)
        elif known.position != position:
            known = replace(known, position=position)
        self._remember(key_id, known)
        return known

    def look_up_anew(self, tx: Transaction, key_id: str) -> Known:
        """The same from the store alone, where what is remembered is of no use: sealed under a key that is no
        more."""
        known = _read(tx, tx.position(), key_id)
        self._remember(key_id, known)
        return known

    def caller(self, tx: Transaction, arns: Arns, key_id: str, known: Known) -> Caller | None:
        """Who holds an access key of which so much is known in the view of `tx`, as `resolve_caller` has it.

        For who has signed with it.
        """
        caller = known.caller
        if caller is None:
            caller = resolve_caller(StoredIdentities(tx, arns), key_id)
            if caller is not None:
                self._remember(key_id, replace(known, caller=caller))
        return caller

    def resolve(self, tx: Transaction, arns: Arns, key_id: str) -> Caller | None:
        """Both in one."""
        return self.caller(tx, arns, key_id, self.look_up(tx, key_id))

    def _remember(self, key_id: str, known: Known) -> None:
        if len(key_id) > _LONGEST_ID:
            return
        proven, claimed = self._known
        some, most = (claimed, self._most[1]) if known.caller is None else (proven, self._most[0])
        with self._lock:
            for before in self._known:
                if key_id in before and before[key_id].position.revision > known.position.revision:
                    return
            (proven if some is claimed else claimed).pop(key_id, None)
            some[key_id] = known
            some.move_to_end(key_id)
            while len(some) > most:
                some.popitem(last=False)


def _read(tx: Transaction, position: Position, key_id: str) -> Known:
    sealed = tx.sealed_secrets.get(key_id)
    return Known(position, tx.sessions.get(key_id), None if sealed is None else sealed.ciphertext, None)


def _touched(tx: Transaction, key_id: str, known: Known) -> bool:
    """Whether anything has changed that this depends on. Other users' rows do not."""
    own = {"access_keys": key_id, "sessions": key_id}
    if known.caller is None:
        return tx.touched(known.position, {"accounts"}, own)
    issuer = known.caller.principal.issuer
    user_name = known.caller.principal.user_name or ""
    own |= {
        "users": user_name,
        "memberships": user_name,
        "roles": "" if issuer is None else issuer.name,
    }
    return tx.touched(known.position, IDENTITY_TABLES, own)
