"""What is waited for comes or is told of, and a port that a test has got is nobody else's."""

import random
import socket
import subprocess
import sys

import pytest
from tests.e2e.waiting import free_port, wait_until

FIRST_CHOICE = "import random; from tests.e2e.waiting import free_port; random.seed(7); print(free_port())"


def test_what_does_not_come_to_be_is_told_of() -> None:
    with pytest.raises(AssertionError, match=r"not there \(waited 0 seconds\)"):
        wait_until(lambda: False, 0, lambda: "not there")
    assert wait_until(iter([0, 0, 7]).__next__) == 7


def test_a_port_is_given_once_whoever_asks() -> None:
    random.seed(7)
    first = free_port()
    random.seed(7)
    assert free_port() != first
    other = subprocess.run(
        [sys.executable, "-c", FIRST_CHOICE], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(other.stdout) != first


def test_ports_that_follow_each_other_can_all_be_listened_on() -> None:
    first = free_port(following=2)
    for port in range(first, first + 3):
        socket.create_server(("127.0.0.1", port)).close()
