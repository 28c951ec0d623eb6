"""From the endpoints that a file declares to the rows of the account."""

import pytest
from tests.fleet.cases import Case, check_planned, check_refused, planned, refused


@pytest.mark.parametrize("case", refused("endpoint_resolution"))
def test_an_endpoint_that_cannot_be_so_is_refused(case: Case) -> None:
    check_refused(case)


@pytest.mark.parametrize("case", planned("endpoint_resolution"))
def test_an_endpoint_becomes_as_the_file_says(case: Case) -> None:
    check_planned(case)
