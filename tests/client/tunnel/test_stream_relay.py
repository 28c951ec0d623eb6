"""A tunnel on standard streams that are one connection, as inetd and systemd (Accept=yes) give it; and by way
of a gateway that has TLS answer and takes no answers."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.client.carriers import MIB
from tests.client.certificates import Certificates
from tests.client.stubs import StubGateway, tunnel_plan
from tests.client.tunnel.test_asyncio_relay import ASKS_FOR_ONE, Wire
from tests.client.tunnel.test_asyncio_relay import gateway as wire_gateway
from tests.client.tunnel.test_tunnel import Says
from tests.transport.records import HANDSHAKE

from hatchway.client.connection.tls import Trust
from hatchway.client.errors import TunnelClosed
from hatchway.client.tunnel import relay_limits, stream_relay
from hatchway.client.tunnel.local import LocalEnd, connection, standard_streams


@contextmanager
def one_connection() -> Iterator[tuple[LocalEnd, socket.socket]]:
    """Standard streams, which are closed at the end; and the other side."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, theirs:
        input_fd, output_fd = ours.detach(), -1
        try:
            output_fd = os.dup(input_fd)
            with standard_streams(input_fd, output_fd) as local:
                yield local, theirs
        finally:
            os.close(input_fd)
            os.close(output_fd)


def carried(gateway: StubGateway, *, speaks: bool) -> tuple[bytes, type[Exception] | None]:
    """What a program gets that begins late to read, and may speak on and on; and how its connection ended."""
    received = bytearray()
    ended = list[type[Exception]]()
    is_over = threading.Event()

    def speak(sock: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock.sendall(bytes(MIB))

    def read(sock: socket.socket) -> None:
        is_over.wait(1)
        try:
            while data := sock.recv(1 << 16):
                received.extend(data)
        except OSError as problem:
            ended.append(type(problem))

    threads = list[threading.Thread]()
    other = None
    try:
        with one_connection() as (local, theirs):
            other = theirs.dup()
            threads += [
                threading.Thread(target=each, args=[other]) for each in ((speak, read) if speaks else (read,))
            ]
            for thread in threads:
                thread.start()
            with suppress(TunnelClosed):
                stream_relay.carry(tunnel_plan(gateway), Trust(gateway.ca_bundle), local)
    finally:
        is_over.set()
        for thread in threads:
            thread.join(30)
        if other is not None:
            other.close()
    return bytes(received), ended[0] if ended else None


def test_a_program_that_still_speaks_when_the_host_closes_gets_all_that_came_and_its_end(
    gateway: StubGateway,
) -> None:
    said = os.urandom(3 * MIB)
    gateway.answer = lambda: Says(said, 1000, "")
    data, ended = carried(gateway, speaks=True)
    assert (data == said, ended) == (True, None)


def test_a_program_whose_tunnel_is_cut_gets_all_that_came_and_sees_that_it_is_not_all(
    gateway: StubGateway,
) -> None:
    said = os.urandom(3 * MIB)
    gateway.answer = lambda: Says(said, 1001, "Gateway is shutting down")
    data, ended = carried(gateway, speaks=False)
    assert (data == said, ended) == (True, ConnectionResetError)


def test_a_gateway_that_takes_no_answers_to_its_key_updates_is_waited_for_without_a_turn(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, meanwhile = [0], list[int]()

    class Counts(stream_relay.StreamRelay):
        def _turn(self) -> None:
            turns[0] += 1
            super()._turn()

    def take_little(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)

    monkeypatch.setattr(stream_relay, "StreamRelay", Counts)
    monkeypatch.setattr(relay_limits, "keep_alive", take_little)

    def act(wire: Wire) -> None:
        records = wire.records()
        updates = bytearray()
        for _ in range(6_000):
            updates += records.record(ASKS_FOR_ONE, HANDSHAKE)
            records.update_keys()
        updates += records.record(b"\x82\x05alive\x88\x02\x03\xe8")
        with wire.raw as raw:
            sending = threading.Thread(target=raw.sendall, args=[updates])
            sending.start()
            came = 0
            while came == 0 or came != relay_limits.unread(raw.fileno()):
                came = relay_limits.unread(raw.fileno())
                threading.Event().wait(1)
            # No more answers come.
            before = turns[0]
            threading.Event().wait(0.5)
            meanwhile.append(turns[0] - before)
            with suppress(OSError):
                while raw.recv(1 << 16):
                    pass
            sending.join(30)

    ours, theirs = socket.socketpair()
    with ours, theirs, wire_gateway(certificates, tmp_path, act) as stub:
        stream_relay.carry(tunnel_plan(stub), Trust(stub.ca_bundle), connection(ours))
        assert theirs.recv(100) == b"alive"
    assert meanwhile[0] < 100
