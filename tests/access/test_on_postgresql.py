"""What follows from a change of the account, on PostgreSQL as on SQLite, where the other tests have it."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.access import test_touched_keys
from tests.access.test_signing_keys import (
    World,
    test_a_change_has_those_alone_looked_at_whom_it_touches_and_leaves_what_a_look_at_all_would,
    test_a_session_gets_and_loses_them_with_its_role_s_policies_and_when_it_expires,
    test_many_keys_are_written_in_parts,
    test_they_roll_with_the_days,
    test_what_comes_and_goes_with_sessions_is_not_looked_at_twice,
    test_what_concerns_no_identity_costs_a_glance,
)
from tests.access.test_touched_keys import CHANGES, touched_by
from tests.store.migrated import new_postgresql_store
from tests.store.postgresql_server import server_programs

from hatchway.store import Store

__all__ = [
    "test_a_change_has_those_alone_looked_at_whom_it_touches_and_leaves_what_a_look_at_all_would",
    "test_a_session_gets_and_loses_them_with_its_role_s_policies_and_when_it_expires",
    "test_many_keys_are_written_in_parts",
    "test_they_roll_with_the_days",
    "test_what_comes_and_goes_with_sessions_is_not_looked_at_twice",
    "test_what_concerns_no_identity_costs_a_glance",
]


@pytest.fixture
def world() -> Iterator[World]:
    """Of the tests that are imported."""
    with closing(_new_store()) as store:
        yield World(store)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with closing(_new_store()) as store:
        test_touched_keys.furnish(store)
        yield store


def _new_store() -> Store:
    if server_programs() is None:
        pytest.skip("PostgreSQL's server is missing: install postgresql")
    return new_postgresql_store()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_touches_the_keys_of_those_whose_permissions_follow_from_it(
    store: Store, change: str
) -> None:
    work, expected = CHANGES[change]
    assert touched_by(store, work) == (None if expected is None else frozenset(expected))
