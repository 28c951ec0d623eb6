"""Whether a program that runs still goes with its store: another may have migrated it since, or somebody
restored one of before, or put another installation's in its place."""

import asyncio
from typing import Final

import structlog

from hatchway.domain.account import Account
from hatchway.store.problems import OtherInstallation, explain
from hatchway.store.schema import BeingRestored, SchemaMismatch, own_schema
from hatchway.store.store import Store
from hatchway.store.transaction import Transaction

INTERVAL: Final = 5.0
"""Seconds between two looks."""

_OWN: Final = "hatchway_own"
"""What a session is noted to be: of the installation that the process began with."""

log = structlog.get_logger("hatchway.store")


class SchemaWatch:
    """Of one process. `fits` is what the last look has found."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._problem: SchemaMismatch | BeingRestored | OtherInstallation | None = None
        self._schema = own_schema()
        self._own: Account | None = None

    @property
    def fits(self) -> bool:
        return self._problem is None

    def check_at_startup(self) -> None:
        """Looks before anything is done.

        Raises:
            SchemaMismatch, BeingRestored: the store does not suit this program.
        """
        self._store.check_schema()
        self.look()

    def look(self) -> None:
        """Looks once, and says what has changed.

        Raises:
            Exception: the store cannot be read; what is known stays.
        """
        former, found = self._problem, self._schema
        try:
            self._schema = self._store.check_schema()
            with self._store.read() as tx:
                self.require_own(tx)
        except OtherInstallation as problem:
            if not isinstance(former, OtherInstallation):
                log.error("store is another installation's", problem=str(problem))
            self._problem = problem
            return
        except (SchemaMismatch, BeingRestored) as problem:
            if former is None or str(former) != str(problem):
                log.error("store does not suit this program any more", problem=explain(problem))
            self._problem = problem
            return
        self._problem = None
        if former is not None:
            log.info("store suits this program again", schema=self._schema)
        elif self._schema != found:
            log.warning(
                "store is of a newer version",
                schema=self._schema,
                of_this_program=own_schema(),
                problem="none as yet: it suits this program, but perhaps not the version after that. Install"
                " the newer version here too",
            )

    def require(self, _tx: Transaction) -> None:
        """For `Store.only_when`.

        Raises:
            SchemaMismatch, BeingRestored, OtherInstallation: it did not fit the last time.
        """
        if self._problem is not None:
            raise self._problem

    def require_own(self, tx: Transaction) -> None:
        """Looks in a transaction: for what must not be done to another's store, nor told of it.

        Raises:
            OtherInstallation: it is another's than at the first look.
            BeingRestored: there is only a part of it yet.
        """
        found = next(iter(tx.accounts.find()), None)
        if found is None:
            # Its row may be yet to come.
            tx.require_whole()
        if self._own is None:
            self._own = found
        else:
            self.require_own_account(found)

    def require_own_account(self, found: Account | None) -> None:
        """The same of an account that was read.

        Raises:
            OtherInstallation: it is another's than at the first look.
        """
        own = self._own
        if own is not None and (found is None or (found.id, found.created_at) != (own.id, own.created_at)):
            raise OtherInstallation(_told(found), _told(own))

    def require_own_in_session(self, tx: Transaction) -> None:
        """The same as `require_own`, once for each session of the database: what is done often is not to cost
        a statement more, and a URL leads elsewhere by another session. Behind a pooler each time.

        Raises:
            OtherInstallation, BeingRestored: as `require_own`.
        """
        if not tx.session_has(_OWN):
            self.require_own(tx)
            tx.note_of_session(_OWN)

    def require_own_so_far(self) -> None:
        """For `Store.only_while`.

        Raises:
            OtherInstallation: it was another's the last time.
        """
        if isinstance(self._problem, OtherInstallation):
            raise self._problem

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await asyncio.to_thread(self.look)
            except Exception as problem:
                log.debug("schema cannot be looked at", problem=str(problem))


def _told(account: Account | None) -> str:
    if account is None:
        return "without an account"
    return f"account {account.id}'s, made {account.created_at:%F %T}"
