"""Connecting to the first of a name's addresses that answers."""

import socket
from collections.abc import Iterator

import pytest

from hatchway.client.connection import connection
from hatchway.client.connection.connection import create_connection

NAME = "two.addresses.test"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Have the name stand for these addresses."""
    found = [
        (socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, port))
        for at, port in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose queue is full: it answers nobody who connects now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
        for sock in waiting:
            sock.close()


def test_an_address_that_does_not_answer_holds_the_next_one_up_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, port: int, full: int
) -> None:
    resolving(monkeypatch, ("127.0.0.1", full), ("127.0.0.1", port))
    with create_connection(NAME, port, 30) as sock:
        assert sock.getpeername()[1] == port


def test_one_that_refuses_does_not_at_all(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(connection, "DELAY", 600)
    resolving(monkeypatch, ("127.0.0.1", 1), ("::1", 1), ("127.0.0.1", port))
    with create_connection(NAME, port, 30) as sock:
        assert sock.getpeername()[1] == port
        assert sock.gettimeout() == 30
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_where_nobody_listens_the_last_address_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ("127.0.0.1", 1), ("127.0.0.2", 1))
    with pytest.raises(ConnectionRefusedError):
        create_connection(NAME, 1, 30)


def test_it_does_not_wait_for_ever(full: int) -> None:
    with pytest.raises(TimeoutError):
        create_connection("127.0.0.1", full, 0.1)


def test_addresses_are_tried_one_family_after_the_other() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    given = [(six, ("a", 1)), (six, ("b", 1)), (four, ("c", 1)), (six, ("d", 1)), (four, ("e", 1))]
    found = [address[0] for _, address in connection._in_turn(given)]
    assert found == ["a", "c", "b", "e", "d"]


def test_a_source_address_that_is_not_this_machine_s_is_told_of(port: int) -> None:
    with pytest.raises(OSError, match="assign"):
        create_connection("127.0.0.1", port, 30, "192.0.2.9")
