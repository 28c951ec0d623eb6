"""The store is brought to this version's tables by itself, and says who can work on it."""

import json
from pathlib import Path

import pytest
from alembic import command
from tests.cli.commands import hatchway
from tests.store.migrated import write_migrated_database
from tests.store.test_store import schema

from hatchway.store import Store, oldest_program, own_schema

BEFORE = "0027"


@pytest.fixture
def store_of_before(tmp_path: Path) -> Path:
    """A data directory whose store an older program made."""
    path = tmp_path / "hatchway.db"
    write_migrated_database(path)
    store = Store.open(f"sqlite:///{path}")
    schema(store, command.downgrade, BEFORE)
    store.close()
    return tmp_path


def test_a_store_is_migrated_by_itself_and_says_which_programs_it_suits(store_of_before: Path) -> None:
    there = ("--data-dir", str(store_of_before))
    looked = hatchway("migrate", "--check", *there)
    assert looked.returncode == 1
    assert looked.stdout.startswith(f"The store's schema is {BEFORE}; to be done: 0028")
    done = hatchway("migrate", *there)
    assert done.returncode == 0, done.stderr
    oldest = oldest_program(own_schema())
    assert done.stdout.splitlines()[-1] == (
        f"The store's schema is {own_schema()}, which suits programs of schema {oldest} and later"
    )
    again = hatchway("migrate", "--check", "--json", *there)
    assert (again.returncode, json.loads(again.stdout)) == (0, {"schema": own_schema(), "pending": []})
    told = json.loads(hatchway("migrate", "--json", *there).stdout)
    assert told == {"before": own_schema(), "schema": own_schema(), "oldest_program": oldest, "steps": {}}


def test_where_there_is_no_store_none_is_made(tmp_path: Path) -> None:
    failed = hatchway("migrate", "--data-dir", str(tmp_path))
    assert failed.returncode == 1 and "hatchway init" in failed.stderr
    # Of the question 1 is an answer.
    asked = hatchway("migrate", "--check", "--data-dir", str(tmp_path))
    assert asked.returncode == 2 and "hatchway init" in asked.stderr
    assert list(tmp_path.iterdir()) == []
