"""Whether the machine of a process that runs is still one of the installation's.

Somebody may have taken it out (`hatchway machine remove`), or restored the store to before it joined.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy import select

from hatchway.store.problems import MachineRemoved, is_denied
from hatchway.store.store import Store
from hatchway.store.tables import machines
from hatchway.store.transaction import Transaction

INTERVAL: Final = 5.0
"""Seconds between two looks."""

log = structlog.get_logger("hatchway.store")


def require_machine(tx: Transaction, machine_id: str) -> None:
    """
    Raises:
        MachineRemoved: it is not known.
        BeingRestored: there is only a part of the store yet.
    """
    # Of a machine a gateway's role may read the id alone.
    if not tx.machines.rows(select(machines.c.id).where(machines.c.id == machine_id)):
        # Its row may be yet to come.
        tx.require_whole()
        raise MachineRemoved(machine_id)


class MachineMembership:
    """Of one process, on the machine with this id; None is the machine that made the installation, which no
    row tells of."""

    def __init__(self, store: Store, machine_id: str | None) -> None:
        self._store = store
        self._machine_id = machine_id
        self._problem: MachineRemoved | None = None

    @property
    def holds(self) -> bool:
        """Whether it was known the last time."""
        return self._problem is None

    def check_at_startup(self) -> None:
        """Looks before anything is done.

        Where the database's role may not read which machines there are, this is said, and nobody looks again.

        Raises:
            MachineRemoved: it is not known.
            Exception: the store cannot be read, or is being restored.
        """
        try:
            self.look()
        except Exception as problem:
            if not is_denied(problem):
                raise
            log.warning(
                "this machine will not notice when it is taken out",
                problem="its role in the database, made for a version before, may not read which there are",
                remedy="GRANT SELECT (id) ON machines TO that role, as their owner, and restart this",
            )
            self._machine_id = None
        self.require()

    async def run(self, removed: Callable[[], None]) -> None:
        """Looks again and again; calls `removed` each time that the machine is not known."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await asyncio.to_thread(self.look)
            except Exception as problem:
                log.debug("machine cannot be looked for", problem=str(problem))
            if not self.holds:
                removed()

    def look(self) -> None:
        """Looks once, and says what has changed.

        Raises:
            Exception: the store cannot be read, or is being restored; what is known stays.
        """
        if self._machine_id is None:
            return
        former = self._problem
        try:
            with self._store.read() as tx:
                require_machine(tx, self._machine_id)
        except MachineRemoved as problem:
            if former is None:
                log.error("machine was taken out: it serves no more", problem=str(problem))
            self._problem = problem
            return
        self._problem = None
        if former is not None:
            log.info("machine is known again: it serves", machine_id=self._machine_id)

    def require(self, _tx: Transaction | None = None) -> None:
        """For `Store.only_when`.

        Raises:
            MachineRemoved: it was not known the last time.
        """
        if self._problem is not None:
            raise self._problem
