"""The rows of one table in memory, by primary key and by other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatchway.store.tables import FEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Key = tuple[str, ...]

_KEYS = {table.name: tuple(column.name for column in table.primary_key.columns) for table in FEED}


def key_of(table: str, row: Any) -> Key:
    """The primary key of a row, as texts: the way the change feed names a deleted row."""
    return tuple(str(getattr(row, name)) for name in _KEYS[table])


class Table:
    """One table. A look-up takes no longer with 100,000 rows than with ten."""

    __slots__ = ("_found", "_lookups", "_name", "rows")

    def __init__(self, name: str, lookups: Callable[[Any], Iterable[Key]] | None = None) -> None:
        """`lookups` returns the keys by which a row can be found besides its primary key."""
        self._name = name
        self._lookups = lookups
        self.rows: dict[Key, Any] = {}
        # The values are never changed, only replaced: a copy shares them.
        self._found: dict[Key, dict[Key, Any]] = {}

    def copy(self) -> Table:
        """A table with the same rows that changes independently."""
        other = Table(self._name, self._lookups)
        other.rows = dict(self.rows)
        other._found = dict(self._found)
        return other

    def find(self, lookup: Key) -> Sequence[Any]:
        """The rows that have this key among their `lookups`."""
        return tuple(self._found.get(lookup, {}).values())

    def put(self, row: Any) -> None:
        key = key_of(self._name, row)
        self.remove(key)
        self.rows[key] = row
        if self._lookups is not None:
            for lookup in self._lookups(row):
                self._found[lookup] = {**self._found.get(lookup, {}), key: row}

    def remove(self, key: Key) -> None:
        row = self.rows.pop(key, None)
        if row is None or self._lookups is None:
            return
        for lookup in self._lookups(row):
            left = {other: found for other, found in self._found[lookup].items() if other != key}
            if left:
                self._found[lookup] = left
            else:
                del self._found[lookup]
