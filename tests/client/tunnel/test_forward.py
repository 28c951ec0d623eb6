"""Which local port stands for a host's."""

import socket

import pytest

from hatchway.client.errors import InvalidOption
from hatchway.client.tunnel.forward import local_port_like, read_ports


@pytest.mark.parametrize(
    ("text", "ports"),
    [("5432", (5432, None)), ("80:8080", (80, 8080)), ("80:0", (80, 0)), ("65535", (65535, None))],
)
def test_a_port_may_name_the_local_one_behind_a_colon(text: str, ports: tuple[int, int | None]) -> None:
    assert read_ports(text) == ports


@pytest.mark.parametrize(
    "text", ["", "0", "x", "1:", ":1", "65536", "1:65536", "1:2:3", "-1", "٣", "9" * 5000]
)
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption):
        read_ports(text)


def test_the_same_port_is_taken_where_it_is_free_and_another_where_it_is_not() -> None:
    free = local_port_like(0)
    assert local_port_like(free) == free
    with socket.create_server(("127.0.0.1", free)):
        assert local_port_like(free) not in (0, free)
