"""Connecting: made, refused, not answered, given up."""

import asyncio
import errno
import socket
import struct
from ipaddress import ip_address
from types import SimpleNamespace

import pytest
from tests.transport.harness import LOOPBACK, run, silent_port

from hatchway.transport.connection import connecting
from hatchway.transport.connection.connecting import CANCELLED, TIMEOUT, Attempt
from hatchway.transport.connection.readiness import Readiness


def attempt(port: int, source: str | None = None) -> Attempt:
    """An attempt to connect to a port on loopback."""
    readiness = Readiness(asyncio.get_running_loop())
    return Attempt(readiness, ip_address(LOOPBACK), port, None if source is None else ip_address(source))


def test_a_connection_is_made_and_its_socket_handed_over() -> None:
    async def test() -> None:
        with socket.create_server((LOOPBACK, 0)) as listening:
            making = attempt(listening.getsockname()[1])
            made = await making.outcome
            assert made is not None
            with made, listening.accept()[0] as accepted:
                assert making.problem is None
                assert made.getsockname() == accepted.getpeername()
                assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(test)


def test_a_port_that_nobody_listens_on_refuses() -> None:
    async def test() -> None:
        with socket.create_server((LOOPBACK, 0)) as listening:
            port = listening.getsockname()[1]
        making = attempt(port)
        assert await making.outcome is None
        assert making.problem == "ConnectionRefusedError"

    run(test)


@pytest.mark.parametrize("has_ended", [False, True])
@pytest.mark.parametrize("said", [b"", b"too many connections"])
def test_what_a_target_says_before_it_resets_can_be_read_however_soon_it_does(
    said: bytes, has_ended: bool
) -> None:
    async def test() -> None:
        with socket.create_server((LOOPBACK, 0)) as listening:
            making = attempt(listening.getsockname()[1])
            accepted, _ = listening.accept()
            accepted.sendall(said)
            if has_ended:
                accepted.shutdown(socket.SHUT_WR)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            # All of that came before the event loop could look.
            assert not making.outcome.done()
            made = await making.outcome
            assert made is not None
            with made:
                assert making.problem is None
                assert made.recv(100) == said
                assert made.recv(100) == b""

    run(test)


def test_a_port_that_does_not_answer_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT", 0.05)

    async def test() -> None:
        with silent_port() as port:
            making = attempt(port)
            assert await making.outcome is None
            assert making.problem == TIMEOUT

    run(test)


def test_an_attempt_that_is_given_up_connects_no_more() -> None:
    async def test() -> None:
        with silent_port() as port:
            making = attempt(port)
            # Nothing has happened yet, whatever a look says.
            making.happened(0)
            assert not making.outcome.done()
            making.abort()
            assert await making.outcome is None
            assert making.problem == CANCELLED
            making.abort()

    run(test)


def test_an_address_that_cannot_be_taken_is_a_problem_of_the_attempt() -> None:
    async def test() -> None:
        # One of the other family: nobody may, with whatever capability.
        with socket.create_server((LOOPBACK, 0)) as listening:
            making = attempt(listening.getsockname()[1], "::1")
            assert await making.outcome is None
            assert making.problem is not None

    run(test)


def test_without_a_socket_the_problem_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_arguments: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    async def test() -> None:
        readiness = Readiness(asyncio.get_running_loop())
        monkeypatch.setattr(socket, "socket", none_left)
        making = Attempt(readiness, ip_address(LOOPBACK), 1)
        monkeypatch.undo()
        assert await making.outcome is None
        assert making.problem == "OSError"

    run(test)


def test_a_connection_that_cannot_be_watched_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        readiness = Readiness(asyncio.get_running_loop())
        with socket.create_server((LOOPBACK, 0)) as listening:

            def refuse(_descriptor: int, _events: int) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr(readiness, "_epoll", SimpleNamespace(register=refuse))
            making = Attempt(readiness, ip_address(LOOPBACK), listening.getsockname()[1])
            assert await making.outcome is None
            assert making.problem == "OSError"

    run(test)
