"""Locks by name, which a transaction in PostgreSQL has until it is committed (PostgreSQL: "Advisory Locks").

What is done under one may be on the disk later: `MAKE_DURABLE` waits for that.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from sqlalchemy import ARRAY, BigInteger, Connection, Dialect, bindparam, text

from hatchway.store.pooler import is_behind_pooler
from hatchway.store.prepared import Prepared

_FORMER_LOCK: Final = 0x48617464
"""Of programs of before, which record under it alone: with it shared, none does beside who locks names."""
_LOCK: Final = (
    "SELECT pg_advisory_xact_lock_shared(:former), pg_advisory_xact_lock(key) FROM unnest(:keys) AS key"
)
_HAND_OVER: Final = "SELECT set_config('synchronous_commit', 'off', true), " + _LOCK.removeprefix("SELECT ")
MAKE_DURABLE: Final = "SELECT pg_logical_emit_message(true, 'hatchway', '')"
"""Has a transaction that does nothing else write to PostgreSQL's log, and wait when it is committed for that
to be on the disk, and on that of a synchronous standby: then all is that was committed before (PostgreSQL:
"Asynchronous Commit")."""


def worker_lock(worker_id: str) -> str:
    """The name that stands for a gateway worker: its lease, and the ends of its tunnels that others enter."""
    return f"gateway worker {worker_id}"


def take_locks(connection: Connection, names: Iterable[str]) -> bool:
    """Waits until no other transaction has any of these, and takes them. See `Transaction.lock`.

    Returns whether others have them before all that the transaction does is on the disk.

    Raises:
        DBAPIError: they were not to be had in time; in a pipeline whoever wants the next answer is told.
    """
    # In the same order by all, so that no two wait for each other.
    keys = sorted({_key(name) for name in names})
    hands_over = not is_behind_pooler(connection)
    _statement(connection.dialect, hands_over=hands_over).run(connection, [[_FORMER_LOCK], [keys]])
    return hands_over


@lru_cache(maxsize=8)
def _statement(dialect: Dialect, *, hands_over: bool) -> Prepared:
    former, keys = bindparam("former", type_=BigInteger), bindparam("keys", type_=ARRAY(BigInteger))
    statement = text(_HAND_OVER if hands_over else _LOCK).bindparams(former, keys)
    return Prepared(statement, ("former", "keys"), dialect)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)
