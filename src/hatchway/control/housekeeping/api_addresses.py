"""Control planes note where the API is, so that gateways on other machines let no tunnel lead there."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hatchway.control.plane import ControlPlane
from hatchway.domain.account import ApiAddress
from hatchway.store.tables import api_addresses

AGAIN: Final = timedelta(hours=12)
"""How often an address that stays is noted again: gateways follow each note."""

RETENTION: Final = timedelta(days=2)
"""How long an address counts that no control plane has noted again."""


class ApiAddresses:
    """Notes this machine's addresses, and forgets those that are no more."""

    def __init__(self, plane: ControlPlane, own: Callable[[], frozenset[str]]) -> None:
        self._plane = plane
        self._own = own

    def note(self) -> None:
        """One round. What is noted already is not written again.

        Raises:
            OSError: the machine does not tell its addresses.
        """
        now, own = self._plane.clock(), self._own()
        with self._plane.store.read() as tx:
            fresh = {row.address for row in tx.api_addresses.find() if row.seen_at > now - AGAIN}
            overdue = tx.api_addresses.count(api_addresses.c.seen_at <= now - RETENTION)
        due = own - fresh
        if not due and not overdue:
            return
        with self._plane.store.write() as tx:
            tx.api_addresses.put(*(ApiAddress(address=address, seen_at=now) for address in sorted(due)))
            tx.api_addresses.delete_where(api_addresses.c.seen_at <= now - RETENTION)
