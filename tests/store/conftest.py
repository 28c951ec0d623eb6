"""A store on each database that Hatchway runs on: SQLite, and a PostgreSQL server of the tests' own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.postgresql_server import postgresql_server, server_programs

from hatchway.store import Store


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Callable[[], str]]:
    """Makes a new, empty database; its URL."""
    programs = server_programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    with postgresql_server(programs) as server:
        yield server.new_database


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store with its tables."""
    url = f"sqlite:///{tmp_path}/hatchway.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql")()
    opened = Store.open(url)
    opened.migrate()
    yield opened
    opened.close()
