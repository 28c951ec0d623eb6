"""The account as it should be, while it is worked out."""

import pytest
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused


@pytest.mark.parametrize("case", refused("draft"))
def test_a_file_that_does_not_fit_the_account_is_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("draft"))
def test_what_a_file_does_not_name_stays_unless_it_is_pruned(case: Case) -> None:
    check_planned(case)
