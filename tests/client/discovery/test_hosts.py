"""Which of the hosts is meant."""

import pytest

from hatchway.client.discovery.hosts import names_a_host


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web-1", True),
        ("i-0123456789abcdef0", False),
        ("10.0.1.1", False),
        ("fd00::5", False),
        ("10.0.1", True),
    ],
)
def test_an_id_or_an_address_is_no_name_even_where_a_host_is_called_so(text: str, name: bool) -> None:
    assert names_a_host(text) is name
