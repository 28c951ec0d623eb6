"""A TCP connection on the event loop, against the kernel's own."""

import asyncio
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from tests.transport.harness import LOOPBACK, TIMEOUT, run

from hatchway.transport.connection.readiness import WRITABLE, Readiness
from hatchway.transport.connection.tcp import HIGH_WATER, Connection, Hold

RESET = struct.pack("ii", 1, 0)
BUFFER = memoryview(bytearray(16 * 1024))


class Noted(Connection):
    """One that notes what it is told."""

    most_at_once = len(BUFFER)

    def __init__(self, readiness: Readiness, sock: socket.socket) -> None:
        super().__init__(readiness, sock)
        self.received = bytearray()
        self.said: list[str] = []
        self.lost = asyncio.Event()
        self.on_bytes: Callable[[], None] = lambda: None

    def receive(self, sock: socket.socket) -> int:
        return sock.recv_into(BUFFER)

    def on_received(self, size: int) -> None:
        self.received += BUFFER[:size]
        self.on_bytes()

    def on_end(self) -> None:
        self.said.append("end")

    def on_full(self) -> None:
        self.said.append("full")

    def on_ready(self) -> None:
        self.said.append("ready")

    def on_lost(self) -> None:
        self.said.append("lost")
        self.lost.set()


def two_sockets() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection; neither blocks."""
    with socket.create_server((LOOPBACK, 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Noted, socket.socket]]:
    """A connection that is being read, and its peer's socket."""
    ours, theirs = two_sockets()
    connection = Noted(Readiness(asyncio.get_running_loop()), ours)
    connection.begin()
    try:
        yield connection, theirs
    finally:
        connection.abort()
        theirs.close()
        await connection.lost.wait()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def looks(readiness: Readiness) -> list[int]:
    """How often readiness has told of something from now on, as a list that grows."""
    told: list[int] = []
    watchers = readiness._watchers

    class Counting(dict[int, object]):
        def get(self, key: int, default: object = None) -> object:
            told.append(key)
            return super().get(key, default)

    readiness._watchers = Counting(watchers)  # type: ignore[assignment]
    return told


def test_what_the_kernel_does_not_take_at_once_is_sent_in_order() -> None:
    async def test() -> None:
        sent = Random(1).randbytes(9_000_000)
        async with connected() as (connection, peer):
            for at in range(0, len(sent), 300_000):
                connection.send(memoryview(sent)[at : at + 300_000])
            connection.finish()
            loop, got = asyncio.get_running_loop(), bytearray()
            while data := await loop.sock_recv(peer, 100_000):
                got += data
            assert got == sent
            assert connection.said[0] == "full"
            await until(lambda: "ready" in connection.said)
            assert connection.said == ["full", "ready"]

    run(test)


def test_memory_that_was_sent_from_may_be_used_again_at_once() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            block, expected = bytearray(400_000), bytearray()
            for number in range(20):
                block[:] = bytes([number]) * len(block)
                expected += block
                connection.send(memoryview(block))
            loop, got = asyncio.get_running_loop(), bytearray()
            while len(got) < len(expected):
                got += await loop.sock_recv(peer, 1 << 20)
            assert got == expected

    run(test)


def test_one_that_closes_when_its_peer_has_ended_is_not_taken_from_its_epoll_before() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            forgotten: list[int] = []
            connection.readiness.forget = forgotten.append  # type: ignore[assignment]
            connection.on_end = connection.close  # type: ignore[method-assign]
            peer.close()
            await connection.lost.wait()
            assert connection.is_gone
            assert forgotten == []

    run(test)


def test_nothing_is_read_while_anything_holds_it_shut() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.hold(Hold.BACKLOG)
            connection.hold(Hold.CONNECTING)
            peer.send(b"later")
            await asyncio.sleep(0.05)
            connection.release(Hold.CONNECTING)
            await asyncio.sleep(0.05)
            assert not connection.received
            connection.release(Hold.BACKLOG)
            await until(lambda: connection.received == b"later")

    run(test)


def test_a_hold_in_the_middle_of_a_turn_ends_the_turn() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.on_bytes = lambda: connection.hold(Hold.BACKLOG)
            peer.send(bytes(3 * len(BUFFER)))
            await until(lambda: bool(connection.received))
            await asyncio.sleep(0.05)
            assert len(connection.received) <= len(BUFFER)

    run(test)


def test_what_came_before_a_reset_is_handed_over() -> None:
    async def test() -> None:
        sent = os.urandom(3 * len(BUFFER) + 1)
        async with connected() as (connection, peer):
            connection.hold(Hold.BACKLOG)
            peer.setblocking(True)
            peer.sendall(sent)
            await asyncio.sleep(0.05)
            reset(peer)
            await asyncio.sleep(0.05)
            assert connection.said == []
            connection.release(Hold.BACKLOG)
            await connection.lost.wait()
            assert connection.received == sent
            assert connection.said == ["lost"]

    run(test)


def test_a_connection_that_is_reset_while_it_is_held_shut_costs_nothing_until_it_is_read() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.hold(Hold.BACKLOG)
            reset(peer)
            await asyncio.sleep(0.05)
            told = looks(connection.readiness)
            await asyncio.sleep(0.1)
            assert not told
            connection.release(Hold.BACKLOG)
            await connection.lost.wait()

    run(test)


def test_after_a_fin_it_is_not_read_any_more_and_may_be_written_to() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: connection.said == ["end"])
            told = looks(connection.readiness)
            connection.send(b"still there")
            assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"still there"
            await asyncio.sleep(0.05)
            assert not told
            assert connection.said == ["end"]

    run(test)


def test_bytes_for_a_peer_that_has_gone_go_nowhere_and_it_is_told_once() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.send(bytes(8_000_000))
            reset(peer)
            await connection.lost.wait()
            connection.send(bytes(8_000_000))
            connection.close()
            connection.abort()
            await asyncio.sleep(0.05)
            assert connection.said.count("lost") == 1

    run(test)


def test_a_close_waits_until_everything_has_been_sent() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.send(bytes(8_000_000))
            connection.close()
            await asyncio.sleep(0.05)
            assert not connection.is_gone
            loop, got = asyncio.get_running_loop(), 0
            while data := await loop.sock_recv(peer, 1 << 20):
                got += len(data)
            assert got == 8_000_000
            await connection.lost.wait()

    run(test)


def _connections() -> str:
    return Path("/proc/net/tcp").read_text(encoding="ascii")


def test_what_nobody_takes_of_a_closed_connection_the_kernel_keeps_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hatchway.transport.connection.tcp._ORPHAN_TIMEOUT", 300)

    async def test() -> None:
        async with connected() as (connection, peer):
            ends = [sock.getsockname()[1] for sock in (connection._socket, peer)]
            # As proc(5) has both ends.
            line = ":{:04X} 0100007F:{:04X} ".format(*ends)
            # The kernel takes it all; the peer has no room for it.
            connection.send(bytes(1_000_000))
            connection.close()
            await connection.lost.wait()
            assert line in _connections()
            await until(lambda: line not in _connections())

    run(test)


def test_an_abort_resets() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.send(bytes(8_000_000))
            connection.abort()
            loop, failed = asyncio.get_running_loop(), False
            try:
                while await loop.sock_recv(peer, 1 << 20):
                    pass
            except ConnectionResetError:
                failed = True
            assert failed

    run(test)


def test_the_owner_is_not_told_of_the_loss_before_what_he_is_doing_is_done() -> None:
    async def test() -> None:
        async with connected() as (connection, _peer):
            connection.abort()
            assert connection.said == []
            await connection.lost.wait()
            assert connection.said == ["lost"]

    run(test)


def test_one_whose_owner_fails_is_dropped_and_the_others_go_on() -> None:
    async def test() -> None:
        def fail() -> None:
            raise ZeroDivisionError

        problems: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: problems.append(context["exception"]))
        async with connected() as (connection, peer):
            ours, theirs = two_sockets()
            other = Noted(connection.readiness, ours)
            other.begin()
            connection.on_bytes = fail
            peer.send(b"x")
            theirs.send(b"y")
            await connection.lost.wait()
            await until(lambda: other.received == b"y")
            assert [type(problem) for problem in problems] == [ZeroDivisionError]
            other.abort()
            theirs.close()

    run(test)


def test_being_told_by_mistake_does_no_harm() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            for events in range(32):
                connection.happened(events)
            peer.send(b"x")
            await until(lambda: connection.received == b"x")
            assert connection.said == []

    run(test)


def test_what_is_unsent_counts_what_the_peer_has_not_acknowledged() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            assert connection.unsent == 0
            connection.send(bytes(8_000_000))
            assert connection.unsent > HIGH_WATER
            loop, got = asyncio.get_running_loop(), 0
            while got < 8_000_000:
                got += len(await loop.sock_recv(peer, 1 << 20))
            await until(lambda: connection.unsent == 0)

    run(test)


def test_a_peer_that_has_broken_off_is_noticed_by_sending_even_while_nothing_is_read() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.hold(Hold.BACKLOG)
            assert connection.unanswered == 0
            reset(peer)
            await asyncio.sleep(0.05)
            connection.send(b"are you there?")
            assert connection.unanswered == math.inf

    run(test)


def test_a_peer_that_breaks_off_after_its_fin_is_noticed_though_nothing_is_read_any_more() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            peer.sendall(b"that is all")
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: connection.said == ["end"])
            connection.await_loss()
            told = looks(connection.readiness)
            connection.send(b"taken")
            await until(lambda: peer.recv(10, socket.MSG_PEEK) == b"taken")
            # Nothing is told of again and again: that would be a busy loop.
            await asyncio.sleep(0.02)
            assert told == []
            reset(peer)
            await asyncio.wait_for(connection.lost.wait(), TIMEOUT)
            assert connection.said == ["end", "lost"]
            assert connection.received == b"that is all"

    run(test)


def test_a_peer_that_has_closed_wholly_is_noticed_at_the_next_byte_it_gets() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            peer.close()
            await until(lambda: connection.said == ["end"])
            connection.await_loss()
            assert not connection.is_gone
            connection.send(b"is anybody there?")
            await asyncio.wait_for(connection.lost.wait(), TIMEOUT)

    run(test)


def test_a_peer_that_has_sent_its_fin_is_asked_by_its_kernel_whether_it_is_still_there() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: connection.said == ["end"])
            connection.await_loss()
            sock = connection._socket
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            asked = [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert asked == [30, 10, 6]

    run(test)


def test_it_is_full_while_much_is_unsent_and_ready_when_most_has_gone() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            before = connection.is_full
            connection.send(b"0123456789", bytes(8_000_000))
            assert (before, connection.is_full) == (False, True)
            # The kernel has room for nothing more, whoever says so.
            for _ in range(10):
                connection.happened(WRITABLE)
            assert connection.is_full
            loop, got = asyncio.get_running_loop(), bytearray()
            while len(got) < 8_000_010:
                got += await loop.sock_recv(peer, 1 << 20)
            assert got == b"0123456789" + bytes(8_000_000)
            await until(lambda: not connection.is_full)
            assert connection.said == ["full", "ready"]

    run(test)


def test_what_is_sent_while_the_kernel_has_no_room_is_kept() -> None:
    async def test() -> None:
        ours, theirs = two_sockets()
        size = 0
        with suppress(BlockingIOError):
            while True:
                size += ours.send(bytes(1 << 16))
        connection = Noted(Readiness(asyncio.get_running_loop()), ours)
        connection.send(b"the last")
        loop, got = asyncio.get_running_loop(), bytearray()
        while len(got) < size + 8:
            got += await loop.sock_recv(theirs, 1 << 20)
        assert got[size:] == b"the last"
        connection.abort()
        theirs.close()

    run(test)


def test_a_hold_that_is_released_twice_and_an_end_that_is_asked_for_twice_are_one() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.release(Hold.BACKLOG)
            connection.hold(Hold.BACKLOG)
            connection.release(Hold.BACKLOG)
            connection.release(Hold.BACKLOG)
            peer.send(b"x")
            await until(lambda: connection.received == b"x")
            connection.finish()
            connection.finish()
            connection.close()
            connection.close()
            assert await asyncio.get_running_loop().sock_recv(peer, 1) == b""
            await connection.lost.wait()
            assert connection.said == ["lost"]

    run(test)


class HasMore(Noted):
    """One that has something to hand over of which its socket does not tell."""

    turns = 0

    @property
    def has_more(self) -> bool:
        return True

    def turn(self) -> bool:
        self.turns += 1
        return False


def test_one_that_has_more_to_hand_over_has_a_turn_when_it_is_released_unless_it_is_gone() -> None:
    async def test() -> None:
        ours, theirs = two_sockets()
        connection = HasMore(Readiness(asyncio.get_running_loop()), ours)
        connection.hold(Hold.BACKLOG)
        connection.release(Hold.BACKLOG)
        await until(lambda: connection.turns == 1)
        connection.hold(Hold.BACKLOG)
        connection.abort()
        connection.release(Hold.BACKLOG)
        await connection.lost.wait()
        assert connection.turns == 1
        theirs.close()

    run(test)


def test_one_that_is_gone_has_nothing_unsent_and_waits_for_no_answer() -> None:
    async def test() -> None:
        async with connected() as (connection, _peer):
            connection.send(bytes(8_000_000))
            connection.abort()
            assert (connection.unsent, connection.unanswered) == (0, 0)

    run(test)


def test_a_fin_for_a_peer_that_has_reset_goes_nowhere() -> None:
    async def test() -> None:
        async with connected() as (connection, peer):
            connection.hold(Hold.BACKLOG)
            reset(peer)
            await asyncio.sleep(0.05)
            connection.finish()
            assert not connection.is_gone
            connection.release(Hold.BACKLOG)
            await connection.lost.wait()

    run(test)


class Kernel:
    """A socket whose kernel says this of its peer (linux/tcp.h, struct tcp_info)."""

    def __init__(self, sock: socket.socket, *info: int) -> None:
        self._sock = sock
        self._info = struct.pack("=2xBB48xII", *info)

    def getsockopt(self, *_option: int) -> bytes:
        return self._info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_a_peer_is_silent_since_the_latest_answer_when_it_does_not_answer_what_it_must() -> None:
    async def test() -> None:
        for retransmits, probes, data_ms, ack_ms, silent in (
            (0, 0, 9000, 9000, 0),
            (0, 1, 9000, 9000, 0),
            (0, 2, 4000, 9000, 4),
            (3, 0, 9000, 5000, 5),
        ):
            async with connected() as (connection, _peer):
                sock = connection._socket
                connection._socket = Kernel(sock, retransmits, probes, data_ms, ack_ms)  # type: ignore[assignment]
                assert connection.unanswered == silent

    run(test)


class Pair:
    """What the core carries by itself, as far as a connection has to tell it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def disarm(self) -> None:
        self.told.append("disarm")

    def part(self) -> None:
        self.told.append("part")


def test_whoever_carries_its_bytes_is_told_what_changes_that_and_when_it_is_closed() -> None:
    async def test() -> None:
        async with connected() as (connection, _theirs):
            pair = Pair()
            connection.pair = cast("Any", pair)
            assert connection.direct >= 0
            connection.hold(Hold.BACKLOG)
            connection.send(bytes(10_000_000))
            assert connection.direct == -1
            assert set(pair.told) == {"disarm"}
            connection.abort()
            assert pair.told[-1] == "part"

    run(test)
