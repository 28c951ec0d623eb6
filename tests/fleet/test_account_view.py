"""The account as values."""

from tests.fleet.accounts import EMPTY, account_of

from hatchway.fleet.account_view import TABLES, copy_of


def test_a_copy_has_tables_of_its_own_with_the_same_rows() -> None:
    view = account_of("users: {alice: {}}")
    copy = copy_of(view.rows)
    assert copy == view.rows
    copy.users.clear()
    assert list(view.rows.users) == ["alice"]


def test_an_empty_account_has_every_table() -> None:
    assert {len(getattr(EMPTY.rows, table)) for table in TABLES} == {0}
