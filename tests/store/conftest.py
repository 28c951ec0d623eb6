"""A store on each database that Hatchway runs on: SQLite, and a PostgreSQL server of the tests' own."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.store.migrated import new_sqlite_store
from tests.store.postgresql_server import PostgresqlServer, postgresql_server, server_programs

from hatchway.store import Store


@pytest.fixture(scope="session")
def database_server() -> Iterator[PostgresqlServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server


@pytest.fixture(scope="session")
def postgresql(database_server: PostgresqlServer) -> Callable[[], str]:
    """Makes a new, empty database; its URL."""
    return database_server.new_database


@pytest.fixture(scope="session")
def migrated_postgresql(database_server: PostgresqlServer) -> Callable[[], str]:
    """Makes a new database with all tables, as a copy of one; its URL."""
    template = database_server.new_database()
    store = Store.open(template)
    store.migrate()
    store.close()
    return partial(database_server.new_database, template)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store with its tables."""
    if request.param == "postgresql":
        opened = Store.open(request.getfixturevalue("migrated_postgresql")())
    else:
        opened = new_sqlite_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()
