"""The account that a file makes, against itself."""

import pytest
from tests.fleet.cases import Case, check_refused, refused


@pytest.mark.parametrize("case", refused("consistency"))
def test_an_account_that_contradicts_itself_is_refused_where_the_file_is_part_of_it(case: Case) -> None:
    check_refused(case)
