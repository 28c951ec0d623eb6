"""Leader election, for what only one process is to do: a row for each role, which its leader keeps changing.

Nobody's clock is compared with another's. A leader raises the row's *beat*; whoever else wants the role looks
at the row, and takes it when it has stayed the same for `LEASE` by his own clock, or at once when its leader
has left it or is known to be gone (`process_identity`). Each takes it by a transaction that finds it as it
was seen.

A leader may not know yet that it is none any more: it was suspended, or cut off from the store. So it is
fenced off: whatever it writes as a leader goes through `Leadership.store`, of which each transaction holds
the row while it lasts (`FOR KEY SHARE`), or fails. Nobody takes the role within one, nor does one that began
too late commit. All of it is in transactions, as a pooler may give each another session. A gateway's role may
only read the table: it can neither lead nor hold the row.

`Seen` and `is_free` decide, and know neither store nor clock.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog
from sqlalchemy import select

from hatchway.domain.leader import Leader
from hatchway.store.problems import ServesNoMore, log_fields
from hatchway.store.processes.process_identity import is_gone, own_identity
from hatchway.store.store import Store
from hatchway.store.tables import leaders
from hatchway.store.transaction import Transaction

LEASE: Final = 8.0
"""Seconds for which a leader's row may stay the same before another takes the role."""
RENEWAL: Final = 2.0
"""Seconds between two beats of a leader."""
LOOK: Final = 0.5
"""Seconds between two looks of whoever would lead."""

Gained = Callable[[Transaction, str], None]
"""Called in the transaction that takes a role, with where its last leader has worked: empty if unknown."""

log = structlog.get_logger("hatchway.store")


class LeadershipLost(Exception):
    """Another leads now: what was to be written is not, and has to be left to that one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A role's row as somebody has seen it, and since when it has been so by his clock, in seconds."""

    row: Leader
    since: float

    def then(self, row: Leader, now: float) -> "Seen":
        """What is seen after another look."""
        return self if row == self.row else Seen(row, now)


def living_leader(
    store: Store, role: str, monotonic: Callable[[], float], sleep: Callable[[float], None]
) -> Leader | None:
    """Who leads, for certain; None where nobody does. It takes as long as a lease to know of one that is gone
    without a word.

    Raises:
        Exception: the store cannot be read.
    """
    seen: Seen | None = None
    while True:
        with store.read() as tx:
            (row,) = tx.leaders.find(role=role) or (Leader(role=role, holder="", beat=0, place=""),)
        now = monotonic()
        if seen is not None and row != seen.row and row.holder:
            return row
        seen = Seen(row, now) if seen is None else seen.then(row, now)
        if is_free(seen, now, partial(is_gone, alone=store.is_sqlite)):
            return None
        sleep(LOOK)


def is_free(seen: Seen, now: float, gone: Callable[[str], bool] = lambda holder: False) -> bool:
    """Whether its leader has left the role, is known to be gone, or has not been heard of for too long."""
    return not seen.row.holder or now - seen.since >= LEASE or gone(seen.row.holder)


class Leadership:
    """One process's part in it. Thread-safe.

    `roles` are those that it would have, each with where it would work, such as a host and the file there.
    """

    def __init__(
        self,
        store: Store,
        roles: Mapping[str, str],
        monotonic: Callable[[], float],
        *,
        gained: Mapping[str, Gained] | None = None,
        holder: str | None = None,
    ) -> None:
        self._store = store
        self._roles = roles
        self._monotonic = monotonic
        self._gained = gained or {}
        self._able: dict[str, Callable[[], bool]] = {}
        self._me = own_identity() if holder is None else holder
        self._seen: dict[str, Seen] = {}
        self._until: dict[str, float] = {}
        self._looking = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self._failing = False

    def leads(self, role: str) -> bool:
        """Whether this process leads, as far as it knows."""
        until = self._until.get(role)
        return until is not None and self._monotonic() < until

    def store(self, role: str) -> Store:
        """The store, to which nothing can be written but while this process leads.

        Its transactions raise `LeadershipLost` otherwise.
        """
        return self._store.only_when(partial(self._require, role))

    def start(self) -> None:
        """Looks once, and from then on in a thread."""
        self._look_safely()
        self._thread.start()

    def stop(self) -> None:
        """Leaves every role to others."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(Exception):
            self.resign()

    def resign(self) -> None:
        """Leaves every role to others, at once.

        Raises:
            Exception: the store cannot be written; others take them when their time is over.
        """
        with self._looking:
            held, self._until = [*self._until], {}
            self._leave(held)

    def take_only_if(self, role: str, able: Callable[[], bool]) -> None:
        """From now on, take a role only while this process can do what it is for."""
        self._able[role] = able

    def leave(self, role: str) -> None:
        """Leaves one role to others, at once: this process cannot do what it is for.

        Raises:
            Exception: as `resign`.
        """
        with self._looking:
            if self._until.pop(role, None) is not None:
                log.warning("leads no more", role=role, reason="it cannot do what is to be done")
                self._leave([role])

    def _leave(self, roles: list[str]) -> None:
        if not roles:
            return
        with self._store.record() as tx:
            for row in _rows(tx, roles, by_leader=True):
                if row.holder == self._me:
                    tx.leaders.put(replace(row, holder=""))

    def look(self) -> None:
        """Renews what this process leads, and takes what is free.

        Raises:
            Exception: the store cannot be used.
        """
        with self._looking:
            began = self._monotonic()
            led = [role for role in self._roles if role in self._until]
            if led:
                self._renew(led, began)
            others = [role for role in self._roles if role not in self._until]
            if others:
                with self._store.read() as tx:
                    rows = {row.role: row for row in tx.leaders.find(leaders.c.role.in_(others))}
                for role in others:
                    row = rows.get(role, Leader(role=role, holder="", beat=0, place=""))
                    seen = self._seen[role] = (
                        self._seen[role].then(row, began) if role in self._seen else Seen(row, began)
                    )
                    free = is_free(seen, began, partial(is_gone, alone=self._store.is_sqlite))
                    if free and self._able.get(role, lambda: True)():
                        self._take(row, began)

    def confirm(self, tx: Transaction, role: str) -> None:
        """Changes the row within a transaction: when that is committed, this process led all the while, and
        what it had read is on the disk, and on that of a synchronous standby.

        Raises:
            LeadershipLost: another leads.
        """
        self._require(role, tx)
        (row,) = tx.leaders.find(role=role)
        tx.leaders.put(replace(row, beat=row.beat + 1))

    def _renew(self, roles: Iterable[str], began: float) -> None:
        with self._store.record() as tx:
            rows = {row.role: row for row in _rows(tx, roles, by_leader=True)}
            kept = {role for role, row in rows.items() if row.holder == self._me}
            tx.leaders.put_all(replace(rows[role], beat=rows[role].beat + 1) for role in kept)
            # Whoever has locked the row is about to take it, or is this process: then it is left as it is.
            there = {row.role for row in tx.leaders.find(leaders.c.role.in_(roles), holder=self._me)}
        for role in roles:
            if role in kept:
                self._until[role] = began + LEASE
            elif role not in there:
                self._lose(role)

    def _take(self, seen: Leader, began: float) -> None:
        role = seen.role
        with self._store.record() as tx:
            tx.leaders.add(replace(seen, holder="", beat=0, place=""))
            # One that is locked is about to be taken by another, or its leader writes: it is not free.
            if _rows(tx, [role], by_leader=False) != [seen]:
                return
            place = self._roles[role]
            tx.leaders.put(replace(seen, holder=self._me, beat=seen.beat + 1, place=place))
            if role in self._gained:
                self._gained[role](tx, seen.place)
        del self._seen[role]
        self._until[role] = began + LEASE
        log.info("leads now", role=role, place=place, after=seen.place or None)

    def _require(self, role: str, tx: Transaction) -> None:
        query = select(leaders.c.holder).where(leaders.c.role == role)
        held = tx.leaders.rows(query.with_for_update(read=True, key_share=True))
        if held != [(self._me,)]:
            self._lose(role)
            raise LeadershipLost(f"another does what is {role}'s")

    def _lose(self, role: str) -> None:
        if self._until.pop(role, None) is not None:
            log.warning("leads no more", role=role, reason="another has taken the role")

    def _run(self) -> None:
        while not self._stopping.is_set():
            leads_all = self._until.keys() >= self._roles.keys()
            self._stopping.wait(RENEWAL if leads_all else LOOK)
            if not self._stopping.is_set():
                self._look_safely()

    def _look_safely(self) -> None:
        try:
            self.look()
        except ServesNoMore:
            # Which has its own line.
            return
        except Exception as problem:
            if not self._failing:
                log.error("leadership cannot be settled", **log_fields(problem))
            self._failing = True
        else:
            if self._failing:
                log.info("leadership is settled again")
            self._failing = False


def _rows(tx: Transaction, roles: Iterable[str], *, by_leader: bool) -> list[Leader]:
    """Rows that nobody else changes, nor takes; a leader's own transactions keep others alone from them."""
    query = select(*(leaders.c[name] for name in ("role", "holder", "beat", "place")))
    query = query.where(leaders.c.role.in_(list(roles))).order_by(leaders.c.role)
    locked = query.with_for_update(key_share=by_leader, skip_locked=True)
    return [tx.leaders.noun(row) for row in tx.leaders.rows(locked)]
