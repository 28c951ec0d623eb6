"""A read that goes on and on, as through key updates without end, ends once a signal has come."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest

from hatchway.client.discovery.plan import Route
from hatchway.client.errors import GatewayUnreachable
from hatchway.client.tunnel import read_watchdog
from hatchway.client.tunnel.local import connection
from hatchway.client.tunnel.opening import Opened, ask
from hatchway.client.tunnel.read_watchdog import watched_reads
from hatchway.client.tunnel.signals import DeferredSignals, deferring_signals
from hatchway.client.tunnel.stream_relay import StreamRelay


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_watchdog, "_LOOK_INTERVAL", 0.01)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


class Updating(socket.socket):
    """One whose TLS reads on through key updates: a call of it ends with data, or with the connection."""

    reads = 0
    signals: Mapping[int, signal.Signals] = {2: signal.SIGTERM}

    def recv(self, size: int, *_arguments: Any) -> bytes:
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: Any, *_arguments: Any) -> int:
        self.reads += 1
        if self.reads in self.signals:
            os.kill(os.getpid(), self.signals[self.reads])
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                return super().recv_into(buffer, 0, socket.MSG_DONTWAIT)
            time.sleep(0.001)
        raise AssertionError("the read goes on and on")

    def unwrap(self) -> None:
        self.recv_into(bytearray(1))


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_a_signal_ends_a_tunnel_amid_key_updates_without_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall(b"\x82\x05alive")
    local, far = socket.socketpair()
    with local, far, Updating(fileno=os.dup(ours.fileno())) as sock:
        sock.setblocking(False)
        opened = Opened(cast("Any", sock), b"", False, None)
        with deferring_signals() as signals, watched_reads(sock, signals) as reads:
            StreamRelay(opened, connection(local), signals, reads).run()
            with pytest.raises(SystemExit):
                signals.raise_again()
        assert far.recv(100) == b"alive"


class Trickling(socket.socket):
    """One whose TLS gives a byte at each read, of empty pongs, for as long as nothing is sent."""

    reads = 0
    reads_until_sent = 0

    def recv_into(self, buffer: Any, *_arguments: Any) -> int:
        self.reads += 1
        if self.reads == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        if self.reads_until_sent:
            return 0
        buffer[0] = b"\x00\x8a"[self.reads % 2]
        return 1

    def send(self, data: Any, *_arguments: Any) -> int:
        self.reads_until_sent = self.reads
        return len(data)

    def unwrap(self) -> None:
        pass


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_bytes_that_come_one_by_one_do_not_keep_a_signal_waiting(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    local, far = socket.socketpair()
    with local, far, Trickling(fileno=os.dup(pair[0].fileno())) as sock:
        opened = Opened(cast("Any", sock), b"", False, None)
        with deferring_signals() as signals, watched_reads(sock, signals) as reads:
            StreamRelay(opened, connection(local), signals, reads).run()
        assert sock.reads_until_sent < 1_000


def test_key_updates_without_end_do_not_hold_up_an_opening_for_longer_than_it_may_take(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with (
        Updating(fileno=os.dup(pair[0].fileno())) as sock,
        pytest.raises(GatewayUnreachable, match="no answer within"),
    ):
        ask(cast("Any", sock), Route("gateway.example.test"), "/", time.monotonic() + 0.2)


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_a_signal_ends_an_opening_amid_key_updates_without_end(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with (
        Updating(fileno=os.dup(pair[0].fileno())) as sock,
        pytest.raises(GatewayUnreachable, match="the connection ended"),
    ):
        # That of Python's own has a KeyboardInterrupt raised as soon as the read has ended.
        sock.signals = {1: signal.SIGINT}
        ask(cast("Any", sock), Route("gateway.example.test"), "/", time.monotonic() + 600)


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_a_read_that_begins_after_the_signal_was_heard_is_ended_too(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    with deferring_signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        while not signals.numbers:
            time.sleep(0.001)
        with watched_reads(ours, signals) as reads, reads.one():
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(BlockingIOError):
                    assert ours.recv(1) == b""
                    break
                time.sleep(0.001)
            else:
                raise AssertionError("the read goes on and on")


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_a_read_is_ended_also_where_there_are_no_descriptors_left(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with deferring_signals() as signals, watched_reads(ours, signals) as reads, reads.one():
        # None but those of standard streams; poll(2) takes as many at once.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(BlockingIOError):
                    assert ours.recv(1) == b""
                    break
                time.sleep(0.001)
            else:
                raise AssertionError("the read goes on and on")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("late_signals_do_nothing")
def test_what_reads_again_and_again_is_left_alone(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    with deferring_signals() as signals, watched_reads(ours, signals) as reads:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            theirs.send(b"x")
            with reads.one():
                assert ours.recv(1) == b"x"
            time.sleep(0.002)
        assert signals.numbers == [signal.SIGINT]


def test_without_a_signal_a_read_may_take_as_long_as_it_likes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    with deferring_signals() as signals, watched_reads(ours, signals) as reads, reads.one():
        time.sleep(0.3)
        theirs.send(b"x")
        assert ours.recv(1) == b"x"


def test_where_no_signal_is_noticed_nobody_looks(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    with watched_reads(ours, DeferredSignals()) as reads, reads.one():
        assert reads.count == 1
    assert reads.count == 2
