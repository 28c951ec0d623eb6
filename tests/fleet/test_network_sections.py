"""How a file describes the network."""

import pytest
from tests.fleet.cases import Case, check_refused, refused


@pytest.mark.parametrize("case", refused("network_sections"))
def test_a_network_that_is_badly_described_is_refused_with_every_problem(case: Case) -> None:
    check_refused(case)
