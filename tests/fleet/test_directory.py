"""Which thing of the account a name or an id in the file means."""

import pytest
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused


@pytest.mark.parametrize("case", refused("directory"))
def test_a_name_that_means_nothing_is_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("directory"))
def test_what_has_a_name_is_found_by_it_and_keeps_its_id(case: Case) -> None:
    check_planned(case)
