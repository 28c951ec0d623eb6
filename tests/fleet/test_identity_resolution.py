"""From the identities that a file declares to the rows of the account."""

import pytest
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused


@pytest.mark.parametrize("case", refused("identity_resolution"))
def test_identities_that_cannot_be_so_are_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("identity_resolution"))
def test_identities_become_as_the_file_says(case: Case) -> None:
    check_planned(case)
