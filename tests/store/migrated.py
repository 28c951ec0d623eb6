"""Empty stores with all their tables, as copies of one: migrating costs more than most tests.

With `HATCHWAY_TEST_STORE=postgresql` those that could be of either kind are of PostgreSQL, on a server of the
tests' own: `make test-postgresql`.
"""

import atexit
import os
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

from hatchway.store import Store

ON_POSTGRESQL = os.environ.get("HATCHWAY_TEST_STORE") == "postgresql"
_running = ExitStack()


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


def migrate_as_a_newer_program(store: Store, suits: str | None) -> None:
    """Leaves it as the next version might: a table and a column more, and what it says of itself."""
    quoted = "NULL" if suits is None else f"'{suits}'"
    with store.engine.begin() as connection:
        for statement in (
            "CREATE TABLE of_a_later_version (id INTEGER PRIMARY KEY)",
            "ALTER TABLE users ADD COLUMN of_a_later_version INTEGER",
            "UPDATE alembic_version SET version_num = '9998'",
            f"UPDATE feed SET suits = {quoted}",
        ):
            connection.exec_driver_sql(statement)


@cache
def _server() -> PostgresqlServer:
    """One for this process, until it ends."""
    programs = server_programs()
    assert programs is not None, "PostgreSQL's server is missing: install postgresql"
    atexit.register(end_servers)
    return _running.enter_context(postgresql_server(programs))


def end_servers() -> None:
    """Leaves nothing behind. A process of pytest-xdist may end without what is to be done at its end."""
    _running.close()


@cache
def _migrated_template() -> str:
    url = _server().new_database()
    store = Store.open(url)
    store.migrate()
    store.close()
    return url


def new_postgresql_store() -> Store:
    """An empty store in a database of its own."""
    return Store.open(_server().new_database(_migrated_template()))


def empty_store(path: Path) -> Store:
    """An empty store: SQLite's in that file, unless `HATCHWAY_TEST_STORE` says otherwise."""
    return new_postgresql_store() if ON_POSTGRESQL else new_sqlite_store(path)
