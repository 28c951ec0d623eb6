"""A load balancer's connection from when it is accepted until its header has come, or has not."""

import asyncio
import socket
import struct
from ipaddress import IPv4Address

import pytest
from tests.transport.harness import LOOPBACK, run, until

from hatchway.transport.listening.proxied_connection import ProxiedConnection
from hatchway.transport.listening.proxy_protocol import TransportAddress

HEADER = b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"
LONG = 3600.0
"""Seconds: no test waits for them."""


class Accepted:
    """A load balancer's connection, and what comes of it here."""

    def __init__(self, first: bytes = b"") -> None:
        with socket.create_server((LOOPBACK, 0)) as listening:
            self.balancer = socket.create_connection(listening.getsockname())
            self.sock, _ = listening.accept()
        self.sock.setblocking(False)
        self.balancer.sendall(first)
        self.done: list[ProxiedConnection] = []

    def begin(self, seconds: float = LONG) -> None:
        peer = TransportAddress(IPv4Address(LOOPBACK), 4711)
        ProxiedConnection(asyncio.get_running_loop(), self.sock, peer, seconds, self.done.append)

    async def outcome(self) -> ProxiedConnection:
        async with asyncio.timeout(30):
            await until(lambda: bool(self.done))
        (begun,) = self.done
        self.balancer.close()
        self.sock.close()
        return begun


def whose(begun: ProxiedConnection) -> str | None:
    header = begun.header
    return None if header is None or header.source is None else str(header.source.address)


def test_a_header_that_came_with_the_connection_is_read_at_once_and_what_follows_it_kept() -> None:
    async def test() -> None:
        accepted = Accepted(HEADER + b"\x16\x03\x01")
        accepted.begin()
        assert len(accepted.done) == 1
        begun = await accepted.outcome()
        assert whose(begun) == "192.0.2.7"
        assert begun.header is not None
        assert begun.received[begun.header.size :] == b"\x16\x03\x01"
        assert LONG - 60 < begun.seconds <= LONG
        assert begun.sock is accepted.sock
        assert begun.peer.port == 4711

    run(test)


def test_one_that_comes_in_pieces_is_waited_for() -> None:
    async def test() -> None:
        accepted = Accepted()
        accepted.begin()
        for part in (HEADER[:1], HEADER[1:20], HEADER[20:]):
            assert not accepted.done
            accepted.balancer.sendall(part)
            await asyncio.sleep(0.02)
        assert whose(await accepted.outcome()) == "192.0.2.7"

    run(test)


def test_a_wrong_one_is_said_to_be_wrong_and_a_missing_one_is_not() -> None:
    async def test() -> None:
        wrong = Accepted(b"GET / HTTP/1.1\r\n")
        wrong.begin()
        begun = await wrong.outcome()
        assert begun.problem
        assert begun.header is None
        ended = Accepted(HEADER[:9])
        ended.begin()
        ended.balancer.shutdown(socket.SHUT_WR)
        begun = await ended.outcome()
        assert begun.problem is None
        assert begun.header is None

    run(test)


@pytest.mark.parametrize("sent", [b"", HEADER[:9]])
def test_it_is_waited_for_no_longer_than_the_client_has(sent: bytes) -> None:
    async def test() -> None:
        accepted = Accepted(sent)
        accepted.begin(seconds=0.05)
        begun = await accepted.outcome()
        assert (begun.header, begun.problem, begun.received) == (None, None, sent)
        assert begun.seconds == 0

    run(test)


@pytest.mark.parametrize("sent", [b"", HEADER[:1], HEADER[:9]])
def test_a_reset_right_behind_a_part_of_it_is_noticed_at_once(sent: bytes) -> None:
    async def test() -> None:
        accepted = Accepted()
        accepted.begin()
        await asyncio.sleep(0)
        # The event loop finds both at once.
        accepted.balancer.sendall(sent)
        accepted.balancer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.balancer.close()
        begun = await accepted.outcome()
        assert (begun.header, begun.problem) == (None, None)

    run(test)
