"""A tunnel by the compiled core, through gateways that send whatever they like, or take nothing."""

import asyncio
import errno
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from picows import WSListener
from tests.client.carriers import MIB, by_core, run_by
from tests.client.certificates import Certificates
from tests.client.stubs import StubGateway, tunnel_plan
from tests.transport.compiled import needs_core
from tests.transport.harness import TIMEOUT, until
from tests.transport.records import HANDSHAKE, KEY_UPDATE, Records

from hatchway.client.connection.tls import Trust
from hatchway.client.errors import GatewayUnreachable, TunnelClosed
from hatchway.client.tunnel import asyncio_opening, asyncio_relay, frames
from hatchway.client.tunnel.asyncio_opening import open_in_loop
from hatchway.client.tunnel.asyncio_relay import AsyncioRelay
from hatchway.client.tunnel.local import connection
from hatchway.client.tunnel.relay import Progress
from hatchway.client.tunnel.tunnel import open_tunnel
from hatchway.transport.core.event_loop import CoreLoop

pytestmark = needs_core

ASKS_FOR_ONE = KEY_UPDATE[:4] + b"\1"
"""A key update that is to be answered by another."""


class Wire:
    """A gateway's side of one connection, once the tunnel is open."""

    def __init__(self, secure: ssl.SSLSocket, secrets: Path) -> None:
        self.secure, self._secrets = secure, secrets

    @property
    def raw(self) -> socket.socket:
        """The same below TLS."""
        return socket.socket(fileno=os.dup(self.secure.fileno()))

    def records(self, *, answered: bool = True) -> Records:
        """What writes its next records, and only that from now on. `answered`: whether it has opened one."""
        named = dict(line.split(" ", 1) for line in self._secrets.read_text().splitlines() if line[0] != "#")
        records = Records(bytes.fromhex(named["SERVER_TRAFFIC_SECRET_0"].split()[1]))
        if answered:
            # That was the first.
            records.record(b"")
        return records

    def read_all(self) -> bytes:
        """Whatever the client still says."""
        came = bytearray()
        with suppress(OSError):
            while data := self.secure.recv(1 << 16):
                came += data
        return bytes(came)


@contextmanager
def gateway(
    certificates: Certificates, directory: Path, act: Callable[[Wire], None], behind: bytes = b""
) -> Iterator[StubGateway]:
    """Opens a tunnel, and acts. `behind` is what comes along with its answer."""
    context = certificates.server_context()
    context.keylog_filename = str(directory / "secrets")

    def serve() -> None:
        sock, _ = listening.accept()
        with suppress(OSError), sock, context.wrap_socket(sock, server_side=True) as secure:
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += secure.recv(1 << 16)
            headers = dict(line.split(b": ", 1) for line in asked.split(b"\r\n")[1:] if b": " in line)
            accept = frames.accept_value(headers[b"Sec-WebSocket-Key"].decode())
            secure.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: %b\r\n\r\n%b" % (accept.encode(), behind)
            )
            act(Wire(secure, directory / "secrets"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        thread.join(30)
        assert not thread.is_alive()


def outcome(stub: StubGateway, said: bytes = b"") -> tuple[bytes, TunnelClosed | None, Progress]:
    """What comes out of the local end, how the tunnel ended, and what it came to."""
    progress = Progress()
    ours, theirs = socket.socketpair()
    received = bytearray()

    def collect() -> None:
        while data := theirs.recv(1 << 16):
            received.extend(data)

    theirs.sendall(said)
    reader = threading.Thread(target=collect)
    reader.start()
    ended = None
    try:
        run_by(
            by_core,
            asyncio.wait_for(
                open_tunnel(tunnel_plan(stub), Trust(stub.ca_bundle), connection(ours), progress), TIMEOUT
            ),
        )
    except TunnelClosed as closed:
        ended = closed
    finally:
        ours.close()
        reader.join(30)
        theirs.close()
    return bytes(received), ended, progress


def test_a_masked_frame_ends_the_tunnel_after_what_came_before(
    certificates: Certificates, tmp_path: Path
) -> None:
    answers: list[bytes] = []

    def act(wire: Wire) -> None:
        wire.secure.sendall(b"\x82\x06before\x82\x85key!masks\x82\x05after")
        answers.append(wire.read_all())

    with gateway(certificates, tmp_path, act) as stub:
        data, ended, _ = outcome(stub)
    assert (data, ended and ended.code) == (b"before", 1002)
    assert frames.masked(answers[0][6:8], answers[0][2:6]) == b"\x03\xea"


@pytest.mark.parametrize("behind", [b"\x82\x7e\x01\x00", b"\x82\x7e\x01\x00half"], ids=["header", "data"])
def test_what_has_come_of_a_frame_when_the_connection_is_lost_is_delivered(
    certificates: Certificates, tmp_path: Path, behind: bytes
) -> None:
    def act(wire: Wire) -> None:
        wire.secure.sendall(b" a frame")

    with gateway(certificates, tmp_path, act, b"\x82\x01." + behind) as stub:
        data, ended, progress = outcome(stub)
    assert data == b"." + behind[4:] + b" a frame"
    assert (ended and ended.code, progress.received) == (1006, len(data))


def test_a_frame_of_any_length_passes_through_and_fragments_do_and_the_core_goes_on(
    certificates: Certificates, tmp_path: Path
) -> None:
    large, piece = os.urandom(5 * MIB + 17), os.urandom(300_000)
    long_header = len(piece).to_bytes(8)

    def act(wire: Wire) -> None:
        wire.secure.sendall(b"\x82\x7f" + len(large).to_bytes(8) + large)
        for first in (0x02, 0x00, 0x80, 0x82):
            wire.secure.sendall(bytes((first, 0x7F)) + long_header + piece)
        wire.secure.sendall(b"\x89\x04ping" + b"\x82\x01s" * 1000 + b"\x88\x02\x03\xe8")
        wire.read_all()

    with gateway(certificates, tmp_path, act) as stub:
        data, ended, progress = outcome(stub)
    assert data == large + piece * 4 + b"s" * 1000
    assert (ended, progress.received) == (None, len(data))


def test_bytes_that_are_no_tls_end_the_tunnel(certificates: Certificates, tmp_path: Path) -> None:
    def act(wire: Wire) -> None:
        wire.secure.sendall(b"\x82\x04data")
        with wire.raw as raw:
            raw.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
            while raw.recv(1 << 16):
                pass

    with gateway(certificates, tmp_path, act) as stub:
        data, ended, _ = outcome(stub)
    assert (data, ended and ended.code) == (b"data", 1006)


def test_a_gateway_that_reads_slowly_gets_everything(certificates: Certificates, tmp_path: Path) -> None:
    came: list[bytes] = []
    said = os.urandom(8 * MIB)

    def act(wire: Wire) -> None:
        stream = wire.secure.makefile("rb")
        received = bytearray()
        while len(received) < len(said):
            head = stream.read(2)
            size = head[1] & 0x7F
            size = int.from_bytes(stream.read(2)) if size == 126 else size
            key = stream.read(4)
            received += frames.masked(stream.read(size), key)
            if len(received) < MIB:
                threading.Event().wait(0.02)
        came.append(bytes(received))
        wire.secure.sendall(b"\x88\x02\x03\xe8")
        wire.read_all()

    with gateway(certificates, tmp_path, act) as stub:
        progress = Progress()
        ours, theirs = socket.socketpair()
        feeding = threading.Thread(target=theirs.sendall, args=[said])
        feeding.start()
        with ours, theirs:
            carried = open_tunnel(tunnel_plan(stub), Trust(stub.ca_bundle), connection(ours), progress)
            run_by(by_core, asyncio.wait_for(carried, TIMEOUT))
            feeding.join(30)
    assert came == [said]
    assert (progress.sent, progress.received) == (len(said), 0)


def test_answers_to_key_updates_fill_no_memory_when_the_gateway_takes_none(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncio_relay, "_MOST_UNSENT", 5000)
    is_full = threading.Event()

    def act(wire: Wire) -> None:
        records, raw = wire.records(), wire.raw
        raw.settimeout(0.2)
        with raw:
            while not is_full.is_set():
                updates = bytearray()
                for _ in range(500):
                    updates += records.record(ASKS_FOR_ONE, HANDSHAKE)
                    records.update_keys()
                at = 0
                while at < len(updates):
                    with suppress(TimeoutError):
                        at += raw.send(updates[at:])
                    if is_full.is_set():
                        # Now it takes them.
                        with suppress(TimeoutError):
                            raw.recv(1 << 20)
            raw.settimeout(1)
            with suppress(TimeoutError):
                while raw.recv(1 << 20):
                    pass
            raw.sendall(records.record(b"\x82\x05alive\x88\x02\x03\xe8"))
            raw.settimeout(60)
            with suppress(OSError):
                while raw.recv(1 << 20):
                    pass

    async def carry(stub: StubGateway) -> bytes:
        plan = tunnel_plan(stub)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            opened = await open_in_loop(plan.route, "/openTunnel", Trust(stub.ca_bundle), by_core=True)
            opened.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
            relay = AsyncioRelay(opened, connection(ours))
            await until(lambda: relay._paused)
            await asyncio.sleep(0.5)
            assert 5000 < relay._unsent < 100_000
            is_full.set()
            await asyncio.wait_for(relay.finished(), TIMEOUT)
            return theirs.recv(100)

    came: list[bytes] = []

    async def carry_and_note(stub: StubGateway) -> None:
        came.append(await carry(stub))

    with gateway(certificates, tmp_path, act) as stub:
        run_by(by_core, carry_and_note(stub))
    assert came == [b"alive"]


def test_a_message_of_tls_of_which_the_rest_is_kept_back_ends_the_tunnel_when_something_is_to_be_sent(
    certificates: Certificates, tmp_path: Path
) -> None:
    def act(wire: Wire) -> None:
        records = wire.records()
        with wire.raw as raw:
            raw.sendall(records.record(b"\x82\x05first") + records.record(KEY_UPDATE[:4], HANDSHAKE))
            with suppress(OSError):
                while raw.recv(1 << 16):
                    pass

    with gateway(certificates, tmp_path, act) as stub:
        ours, theirs = socket.socketpair()

        async def carry() -> None:
            progress = Progress()
            carried = asyncio.ensure_future(
                open_tunnel(tunnel_plan(stub), Trust(stub.ca_bundle), connection(ours), progress)
            )
            assert await asyncio.to_thread(theirs.recv, 100) == b"first"
            await asyncio.sleep(0.1)
            theirs.sendall(b"question")
            with pytest.raises(TunnelClosed, match="lost"):
                await asyncio.wait_for(carried, TIMEOUT)

        with ours, theirs:
            run_by(by_core, carry())


@pytest.mark.parametrize("is_lost", [False, True])
def test_what_the_core_has_left_as_reading_is_paused_is_done_afterwards(
    certificates: Certificates, tmp_path: Path, is_lost: bool
) -> None:
    """It is told once, and the gateway may send nothing more that would have it looked for."""
    goes_on = threading.Event()
    answers: list[bytes] = []

    def act(wire: Wire) -> None:
        wire.secure.sendall(b"\x82\x05first")
        goes_on.wait(30)
        # A fragment, which is for Python, and a ping.
        wire.secure.sendall(b"\x02\x04last\x89\x01?")
        wire.secure.settimeout(60)
        with suppress(OSError):
            answers.append(wire.secure.recv(100))
            wire.secure.sendall(b"\x80\x00\x88\x02\x03\xe8")
        wire.read_all()

    async def carry(stub: StubGateway) -> None:
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        with ours, theirs:
            plan = tunnel_plan(stub)
            relay = AsyncioRelay(
                await open_in_loop(plan.route, "/openTunnel", Trust(stub.ca_bundle), by_core=True),
                connection(ours),
            )
            assert await asyncio.to_thread(theirs.recv, 100) == b"first"
            await asyncio.sleep(0.1)
            goes_on.set()
            while not relay._pair.has_events:
                # Nobody is told.
                loop.selector.select(0.01)
            if is_lost:
                relay._lose()
                with pytest.raises(TunnelClosed, match="lost"):
                    await asyncio.wait_for(relay.finished(), TIMEOUT)
            else:
                relay._pause()
                relay._resume()
                await asyncio.wait_for(relay.finished(), TIMEOUT)
            assert theirs.recv(100) == b"last"

    with gateway(certificates, tmp_path, act) as stub:
        run_by(by_core, carry(stub))
    assert is_lost or (answers[0][0], len(answers[0])) == (0x8A, 7)


def test_an_answer_of_tls_that_the_core_has_left_is_sent_before_local_input(
    certificates: Certificates, tmp_path: Path
) -> None:
    """The core leaves it to the gateway's turn, and the local end may have its own before."""
    came: list[bytes] = []

    def act(wire: Wire) -> None:
        wire.secure.sendall(b"\x82\x05first")
        came.append(wire.secure.recv(6) + wire.secure.recv(100))
        wire.secure.sendall(b"\x88\x02\x03\xe8")
        wire.read_all()

    async def carry(stub: StubGateway) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            plan = tunnel_plan(stub)
            relay = AsyncioRelay(
                await open_in_loop(plan.route, "/openTunnel", Trust(stub.ca_bundle), by_core=True),
                connection(ours),
            )
            assert await asyncio.to_thread(theirs.recv, 100) == b"first"
            relay._pair.disarm()
            relay._session.write(frames.write_frame(frames.PONG, b"", frames.new_key()))
            theirs.sendall(b"word")
            await asyncio.wait_for(relay.finished(), TIMEOUT)

    with gateway(certificates, tmp_path, act) as stub:
        run_by(by_core, carry(stub))
    assert (came[0][0], came[0][6:8]) == (0x8A, b"\x82\x84")


async def opening(stub: StubGateway) -> None:
    plan = tunnel_plan(stub)
    opened = await open_in_loop(plan.route, "/openTunnel", Trust(stub.ca_bundle), by_core=True)
    opened.sock.close()


def test_what_speaks_no_tls_is_told_of_at_once(certificates: Certificates) -> None:
    def serve() -> None:
        sock, _ = listening.accept()
        with sock:
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            with suppress(OSError):
                while sock.recv(1 << 16):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        stub = StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        with pytest.raises(GatewayUnreachable, match="what listens there is no gateway"):
            run_by(by_core, opening(stub))
        thread.join(30)


def test_a_gateway_that_answers_without_end_is_given_up_in_time(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key updates, which no limit of what an answer may be ever meets."""
    monkeypatch.setattr(asyncio_opening, "CONNECT_TIMEOUT", 2.0)
    context = certificates.server_context()
    context.keylog_filename = str(tmp_path / "secrets")

    def serve() -> None:
        sock, _ = listening.accept()
        with suppress(OSError), sock, context.wrap_socket(sock, server_side=True) as secure:
            wire = Wire(secure, tmp_path / "secrets")
            records = wire.records(answered=False)
            with wire.raw as raw:
                while True:
                    raw.sendall(records.record(KEY_UPDATE, HANDSHAKE))
                    records.update_keys()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        stub = StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        with pytest.raises(GatewayUnreachable, match="no answer within"):
            run_by(by_core, asyncio.wait_for(opening(stub), TIMEOUT))
        thread.join(30)


def test_a_lack_of_descriptors_is_told_of_and_passes(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def try_twice(stub: StubGateway) -> None:
        with monkeypatch.context() as patch, pytest.raises(GatewayUnreachable) as told:
            patch.setattr(asyncio_opening, "_own", none_left)
            await opening(stub)
        assert "Too many open files" in str(told.value)
        assert told.value.passing

    with socket.create_server(("127.0.0.1", 0)) as listening:
        stub = StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        run_by(by_core, try_twice(stub))
