"""Whether a program that runs still goes with its store's schema: another may have migrated it since, or
somebody restored one of before."""

import asyncio
from typing import Final

import structlog

from hatchway.store.problems import explain
from hatchway.store.schema import BeingRestored, SchemaMismatch, own_schema
from hatchway.store.store import Store
from hatchway.store.transaction import Transaction

INTERVAL: Final = 5.0
"""Seconds between two looks."""

log = structlog.get_logger("hatchway.store")


class SchemaWatch:
    """Of one process. `fits` is what the last look has found."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._problem: SchemaMismatch | BeingRestored | None = None
        self._schema = own_schema()

    @property
    def fits(self) -> bool:
        return self._problem is None

    def look_first(self) -> None:
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
            SchemaMismatch, BeingRestored: it did not fit the last time.
        """
        if self._problem is not None:
            raise self._problem

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await asyncio.to_thread(self.look)
            except Exception as problem:
                log.debug("schema cannot be looked at", problem=str(problem))
