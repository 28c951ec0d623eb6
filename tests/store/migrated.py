"""Empty SQLite stores with all their tables, as copies of one: migrating costs more than most tests."""

import tempfile
from functools import cache
from pathlib import Path

from hatchway.store import Store


@cache
def migrated_database() -> bytes:
    """The file of one. Made once for a process and those that it forks."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "empty.db")
        store = Store.open(f"sqlite:///{path}")
        store.migrate()
        store.close()
        return path.read_bytes()


def write_migrated_database(path: Path) -> None:
    """A file of its own, into which nothing has been put."""
    path.write_bytes(migrated_database())


def new_sqlite_store(path: Path) -> Store:
    """The same, opened."""
    write_migrated_database(path)
    return Store.open(f"sqlite:///{path}")
