"""Tunnels through a stub gateway: bytes both ways, ends of every kind, refusals."""

import asyncio
import ctypes
import hashlib
import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest
from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from tests.client.carriers import (
    CARRIERS,
    MIB,
    Carrier,
    by_core,
    carry,
    carry_bytes,
    chosen,
    local_end,
    run_by,
)
from tests.client.certificates import Certificates
from tests.client.stubs import DNS_NAME, StubGateway, refusal, tunnel_plan
from tests.transport.compiled import needs_core

from hatchway.client.connection.tls import Trust, trust
from hatchway.client.errors import GatewayUnreachable, InvalidOption, NotCarried, TunnelClosed, TunnelRefused
from hatchway.client.tunnel import frames, relay, relay_limits, stream_relay
from hatchway.client.tunnel.local import LocalEnd, connection, standard_streams
from hatchway.client.tunnel.opening import as_the_system_says
from hatchway.client.tunnel.relay import Progress
from hatchway.client.tunnel.signals import ending_in_order
from hatchway.client.tunnel.tunnel import open_tunnel
from hatchway.domain.tunnel_protocol import HALF_CLOSE
from hatchway.transport.connection.connecting import CONNECT_TIMEOUT

HOUR = 3600.0


@pytest.fixture(
    autouse=True,
    params=[pytest.param(name, marks=needs_core if name == "core" else ()) for name in CARRIERS],
)
def carrier(request: pytest.FixtureRequest) -> Iterator[Carrier]:
    """All that there are behave the same."""
    before = chosen[0]
    chosen[0] = CARRIERS[request.param]
    yield chosen[0]
    chosen[0] = before


class Echo(WSListener):
    """Sends back what comes, and closes after `size` bytes of it."""

    def __init__(self, size: int) -> None:
        self.missing = size
        self.largest = 0

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            payload = frame.get_payload_as_bytes()
            self.largest = max(self.largest, len(payload))
            self.missing -= len(payload)
            transport.send(WSMsgType.BINARY, payload)
            if self.missing == 0:
                transport.send_close(WSCloseCode.OK)


class Says(WSListener):
    """Sends some bytes at once, then a Close."""

    def __init__(self, data: bytes, code: int, reason: str, frame_size: int = 50_000) -> None:
        self.data, self.code, self.reason, self.frame_size = data, code, reason, frame_size

    def on_ws_connected(self, transport: WSTransport) -> None:
        for start in range(0, len(self.data), self.frame_size):
            transport.send(WSMsgType.BINARY, self.data[start : start + self.frame_size])
        transport.send_close(self.code, self.reason)  # type: ignore[arg-type]


class Listens(WSListener):
    """Keeps what comes until the client closes, then answers its Close."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.heard = threading.Event()
        self.closed = threading.Event()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            self.received += frame.get_payload_as_bytes()
            self.heard.set()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
            self.closed.set()


class Pings(WSListener):
    """Sends data with a ping behind each frame, and closes when the last ping is answered."""

    def __init__(self, data: bytes) -> None:
        self.data, self.answers = data, list[bytes]()

    def on_ws_connected(self, transport: WSTransport) -> None:
        for number, start in enumerate(range(0, len(self.data), 1000)):
            transport.send(WSMsgType.BINARY, self.data[start : start + 1000])
            transport.send_ping(b"%d" % number)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.PONG:
            self.answers.append(frame.get_payload_as_bytes())
            if self.answers[-1] == b"%d" % (len(self.data) // 1000 - 1):
                transport.send_close(WSCloseCode.OK)


def test_pings_amid_data_are_answered_and_disturb_nothing(gateway: StubGateway) -> None:
    pings = Pings(os.urandom(MIB // 1000 * 1000))
    gateway.answer = lambda: pings
    assert carry_bytes(gateway, b"") == pings.data
    numbers = list(map(int, pings.answers))
    assert numbers == sorted(set(numbers))


def test_large_data_comes_back_whole_and_in_order(gateway: StubGateway) -> None:
    data = os.urandom(24 * MIB + 17)
    echo = Echo(len(data))
    gateway.answer = lambda: echo
    assert hashlib.sha256(carry_bytes(gateway, data)).digest() == hashlib.sha256(data).digest()
    assert echo.largest <= relay.MAX_FRAME


@contextmanager
def bare_gateway(
    certificates: Certificates,
    written: list[tuple[int, bytes, bytes]],
    says: bytes = b"\x89\x04ping",
    heard: threading.Event | None = None,
    pause: float = 0,
) -> Iterator[StubGateway]:
    """One that pings, or `says` something else first, and reads nothing before that is `heard`. It closes
    when the input has ended, or answers a Close, and notes each frame: kind, key and payload.

    `pause` is how long it waits between two reads of a few KiB, in seconds.
    """

    def read(stream: IO[bytes]) -> None:
        first, second = stream.read(2)
        size = second & 0x7F
        if size >= 126:
            size = int.from_bytes(stream.read(2 if size == 126 else 8))
        key = stream.read(4)
        written.append((first & 0x0F, key, frames.masked(stream.read(size), key)))

    def serve() -> None:
        sock, _ = listening.accept()
        with (
            certificates.server_context().wrap_socket(sock, server_side=True) as secure,
            secure.makefile("rb") as stream,
        ):
            asked = dict(line.split(b": ", 1) for line in iter(stream.readline, b"\r\n") if b": " in line)
            accept = frames.accept_value(asked[b"Sec-WebSocket-Key"].decode().strip())
            secure.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: %b\r\nSec-WebSocket-Accept: %b\r\n\r\n%b"
                % (HALF_CLOSE.encode(), accept.encode(), says)
            )
            if heard is not None:
                heard.wait(HOUR)
            # It ends with the client too.
            with suppress(OSError, ValueError):
                while not written or written[-1][0] != frames.CLOSE:
                    time.sleep(pause)
                    read(stream)
                    if written[-1][0] in (frames.TEXT, frames.CLOSE):
                        secure.sendall(b"\x88\x02\x03\xe8")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        if pause or heard is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        thread.join(30)


def test_nobody_foresees_what_any_frame_is_masked_with(certificates: Certificates) -> None:
    sent = os.urandom(MIB // 2)
    keys: list[set[bytes]] = []
    for _ in range(2):
        # What C's own numbers are after this, anybody knows.
        ctypes.CDLL(None).srand(1)
        written: list[tuple[int, bytes, bytes]] = []
        with bare_gateway(certificates, written) as gateway:
            assert carry_bytes(gateway, sent) == b""
        assert b"".join(payload for kind, _, payload in written if kind == frames.BINARY) == sent
        assert {kind for kind, _, _ in written} == {frames.BINARY, frames.PONG, frames.TEXT, frames.CLOSE}
        keys.append({key for _, key, _ in written})
        assert len(keys[-1]) == len(written)
    assert not keys[0] & keys[1]


def test_a_gateway_that_takes_nothing_has_its_newest_ping_answered_when_it_takes_again(
    certificates: Certificates,
) -> None:
    """Answers to all of them would fill the client's memory (RFC 6455 section 5.5.3)."""
    pings = 100_000
    written: list[tuple[int, bytes, bytes]] = []
    heard = threading.Event()
    says = b"".join(b"\x89\x7d%0125d" % number for number in range(pings)) + b"\x82\x01!"
    with local_end() as (local, far), bare_gateway(certificates, written, says, heard) as gateway:

        def end_input_when_all_has_come() -> None:
            far.output.read(1)
            heard.set()
            far.input.close()

        waits = threading.Thread(target=end_input_when_all_has_come)
        waits.start()
        carry(gateway, local)
        waits.join(30)
    answers = [payload for kind, _, payload in written if kind == frames.PONG]
    assert int(answers[-1]) == pings - 1
    assert len(answers) < pings // 20


def test_regular_files_serve_as_standard_streams(gateway: StubGateway, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(3 * MIB + 1))
    gateway.answer = lambda: Echo(source.stat().st_size)
    with source.open("rb") as reader, copy.open("wb") as writer:  # noqa: SIM117
        with standard_streams(reader.fileno(), writer.fileno()) as local:
            carry(gateway, local)
    assert copy.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("carrier", ["alone"], indirect=True)
def test_output_that_a_full_disk_does_not_take_is_an_error(gateway: StubGateway) -> None:
    gateway.answer = lambda: Says(b"dump", 1000, "")
    nothing, full = os.open(os.devnull, os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    said = pytest.raises(NotCarried, match="lacks what came since: No space left on device")
    with standard_streams(nothing, full) as local, said:
        carry(gateway, local)
    os.close(nothing)
    os.close(full)


@pytest.mark.parametrize("carrier", ["alone"], indirect=True)
def test_input_that_cannot_be_read_is_an_error(gateway: StubGateway, tmp_path: Path) -> None:
    gateway.answer = Listens
    directory = os.open(tmp_path, os.O_RDONLY)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    said = pytest.raises(NotCarried, match="cannot be read any further: Is a directory")
    with standard_streams(directory, nowhere) as local, said:
        carry(gateway, local)
    os.close(directory)
    os.close(nowhere)


def test_the_target_is_heard_after_standard_input_has_ended(gateway: StubGateway) -> None:
    class AnswersLate(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            asyncio.get_running_loop().call_later(1.5, self.answer, transport)

        def answer(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.BINARY, b"late")
            transport.send_close(WSCloseCode.OK)

    gateway.answer = AnswersLate
    assert carry_bytes(gateway, b"") == b"late"


def test_all_that_was_sent_before_a_close_is_delivered_to_a_slow_reader(gateway: StubGateway) -> None:
    data = os.urandom(8 * MIB)
    gateway.answer = lambda: Says(data, 4001, "Tunnel reached its maximum duration of 3 seconds")
    ours, theirs = socket.socketpair()
    received = bytearray()

    def read_slowly() -> None:
        while chunk := theirs.recv(300_000):
            received.extend(chunk)
            threading.Event().wait(0.002)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    with ours, pytest.raises(TunnelClosed) as caught:
        carry(gateway, connection(ours))
    reader.join(30)
    theirs.close()
    assert bytes(received) == data
    assert caught.value.code == 4001
    assert str(caught.value) == (
        "tunnel closed: Tunnel reached its maximum duration of 3 seconds:"
        " connect again; for longer, with --max-tunnel-duration"
    )


def test_a_reader_that_takes_nothing_stops_the_sender(gateway: StubGateway) -> None:
    class Floods(WSListener):
        sent = 0
        given_up = threading.Event()

        def on_ws_connected(self, transport: WSTransport) -> None:
            self.transport = transport
            self.writing = True
            self.more()

        def more(self) -> None:
            while self.writing and self.sent < 256 * MIB:
                self.transport.send(WSMsgType.BINARY, bytes(60_000))
                type(self).sent += 60_000

        def pause_writing(self) -> None:
            self.writing = False
            asyncio.get_running_loop().call_later(1, self.give_up)

        def resume_writing(self) -> None:
            self.writing = True
            asyncio.get_running_loop().call_soon(self.more)

        def give_up(self) -> None:
            if not self.writing:
                self.transport.disconnect(graceful=False)
                self.given_up.set()

    gateway.answer = Floods
    ours, theirs = socket.socketpair()

    def read_the_rest() -> None:
        Floods.given_up.wait(60)
        while theirs.recv(MIB):
            pass

    reader = threading.Thread(target=read_the_rest)
    reader.start()
    with ours, pytest.raises(TunnelClosed):
        carry(gateway, connection(ours))
    reader.join(30)
    theirs.close()
    assert Floods.sent < 64 * MIB


def test_a_close_with_code_1000_is_no_error(gateway: StubGateway) -> None:
    gateway.answer = lambda: Says(b"bye", 1000, "")
    assert carry_bytes(gateway, b"") == b"bye"


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1011, "Unable to connect to target"), (1001, "Gateway is shutting down"), (4003, "Access revoked")],
)
def test_a_close_with_another_code_is_an_error_that_carries_code_and_reason(
    gateway: StubGateway, code: int, reason: str
) -> None:
    gateway.answer = lambda: Says(b"", code, reason)
    with pytest.raises(TunnelClosed) as caught:
        carry_bytes(gateway, b"")
    assert (caught.value.code, caught.value.reason, caught.value.exit_code) == (code, reason, 255)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        # Old gateways, and connections that are lost, name no request in the reason.
        ("Access revoked", "tunnel closed: Access revoked (request id 5d2c)"),
        ("Access revoked (request id 5d2c)", "tunnel closed: Access revoked (request id 5d2c)"),
    ],
)
def test_a_close_names_the_request_once(gateway: StubGateway, reason: str, said: str) -> None:
    answer = WSUpgradeResponse.create_101_response({"x-amzn-requestid": "5d2c"})
    gateway.answer = lambda: WSUpgradeResponseWithListener(answer, Says(b"", 4003, reason))
    with pytest.raises(TunnelClosed) as caught:
        carry_bytes(gateway, b"")
    assert (str(caught.value).partition("): ")[0] + ")", caught.value.request_id) == (said, "5d2c")


def test_a_reason_cannot_drive_the_terminal(gateway: StubGateway) -> None:
    gateway.answer = lambda: Says(b"", 4000, "\x1b]0;title\x07")
    with pytest.raises(TunnelClosed, match=r"\ufffd\]0;title\ufffd"):
        carry_bytes(gateway, b"")


def test_a_connection_that_ends_without_a_close_is_an_error(gateway: StubGateway) -> None:
    class Drops(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.disconnect(graceful=False)

    gateway.answer = Drops
    with pytest.raises(TunnelClosed) as caught:
        carry_bytes(gateway, b"")
    assert caught.value.code == 1006


def reset(sock: socket.socket) -> None:
    """The end of a connection that loses whatever is under way."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.parametrize("behind", [1, 20, 120])
def test_a_reset_right_behind_a_part_of_the_answer_is_noticed_at_once(
    certificates: Certificates, behind: int
) -> None:
    attempts = 3

    def serve() -> None:
        for _ in range(attempts):
            sock, _ = listening.accept()
            below = sock.dup()
            with certificates.server_context().wrap_socket(sock, server_side=True) as secure:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    asked += secure.recv(1 << 16)
                secure.sendall((b"HTTP/1.1 101 Switching Protocols\r\n" + b"A: " + b"b" * 200)[:behind])
                os.close(secure.detach())
                reset(below)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        stub = StubGateway(listening.getsockname()[1], str(certificates.ca), WSListener)
        for _ in range(attempts):
            with (
                local_end() as (local, _),
                pytest.raises(GatewayUnreachable, match=r" ended before | reset "),
            ):
                carry(stub, local)
        thread.join(30)


def test_a_program_that_resets_its_connection_right_behind_data_ends_the_tunnel(
    gateway: StubGateway,
) -> None:
    for size in (1, 100_000):
        listens = Listens()
        gateway.answer = lambda: listens  # noqa: B023
        with socket.create_server(("127.0.0.1", 0)) as listening:
            theirs = socket.create_connection(listening.getsockname())
            ours, _ = listening.accept()
        carrying = threading.Thread(target=carry, args=(gateway, connection(ours)), daemon=True)
        carrying.start()
        theirs.sendall(b".")
        assert listens.heard.wait(30)
        theirs.sendall(bytes(size))
        reset(theirs)
        assert listens.closed.wait(30)
        carrying.join(30)
        ours.close()


def test_text_from_the_gateway_ends_the_tunnel(gateway: StubGateway) -> None:
    class Talks(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.send(WSMsgType.TEXT, b"hello")

    gateway.answer = Talks
    with pytest.raises(TunnelClosed) as caught:
        carry_bytes(gateway, b"")
    assert caught.value.code == 1003


@pytest.mark.parametrize(
    "bad",
    [
        b"\xc2\x01x",
        b"\xa2\x01x",
        b"\x92\x01x",
        b"\xc9\x00",
        b"\x80\x01x",
        b"\x02\x00\x82\x01x",
        b"\x02\x00\x81\x01x",
    ],
    ids=[
        *(f"reserved bit {number}" for number in (1, 2, 3)),
        "reserved bit of a ping",
        "continuation of nothing",
        "another message amid fragments",
        "text amid fragments",
    ],
)
def test_a_frame_that_no_gateway_may_send_ends_the_tunnel_after_what_came_before(
    certificates: Certificates, bad: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This gateway never answers the close frame.
    monkeypatch.setattr(relay_limits, "CLOSE_TIMEOUT", 1.0)
    written: list[tuple[int, bytes, bytes]] = []
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        bare_gateway(certificates, written, b"\x82\x06before" + bad + b"\x82\x05after") as gateway,
    ):
        with pytest.raises(TunnelClosed) as caught:
            carry(gateway, connection(ours))
        assert caught.value.code == 1002
        ours.shutdown(socket.SHUT_WR)
        assert theirs.recv(100) == b"before"
    assert [payload for kind, _, payload in written if kind == frames.CLOSE] == [b"\x03\xea"]


def test_fragments_with_a_ping_amid_them_are_data(certificates: Certificates) -> None:
    written: list[tuple[int, bytes, bytes]] = []
    fragments = b"\x02\x02on\x00\x01e\x89\x01?\x80\x05 word\x82\x01."
    with bare_gateway(certificates, written, fragments) as gateway:
        assert carry_bytes(gateway, b"") == b"one word."
    assert frames.PONG in {kind for kind, _, _ in written}


def test_what_was_sent_arrives_though_the_local_reader_goes_away(gateway: StubGateway) -> None:
    listens = Listens()
    gateway.answer = lambda: listens
    ours, theirs = socket.socketpair()
    theirs.sendall(b"last words" * 1000)
    theirs.close()
    with ours:
        carry(gateway, connection(ours))
    assert listens.closed.wait(60)
    assert listens.received == b"last words" * 1000


def carry_until_signal(
    gateway: StubGateway, local: LocalEnd, number: signal.Signals, begun: Callable[[], None] = lambda: None
) -> list[str]:
    """As commands carry a tunnel, until a signal ends it; what is said of that.

    `begun` is called when it is open; of what carries one alone, when the gateway has sent something.
    """
    before = signal.getsignal(number)
    plan, trusted, told = tunnel_plan(gateway), Trust(gateway.ca_bundle), list[str]()
    progress = Progress(begun)

    async def run() -> None:
        with ending_in_order():
            await open_tunnel(plan, trusted, local, progress)

    with pytest.raises((SystemExit, KeyboardInterrupt)) as caught:
        if chosen[0] is stream_relay.carry:
            stream_relay.carry(plan, trusted, local, host_speaks=begun, tell=told.append)
        else:
            run_by(chosen[0], run())
    code = caught.value.code if isinstance(caught.value, SystemExit) else 128 + signal.SIGINT
    assert code == 128 + number
    assert signal.getsignal(number) == before
    return [*told, *([relay_limits.cut_short(progress.untaken)] if progress.untaken else [])]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_the_tunnel_after_what_was_sent_before_it(
    gateway: StubGateway, number: signal.Signals
) -> None:
    listens = Listens()
    gateway.answer = lambda: listens
    words = b"last words" * 10_000

    with local_end() as (local, far):

        def end() -> None:
            assert listens.heard.wait(30)
            # They wait in the pipe when the signal is looked at.
            far.input.write(words)
            os.kill(os.getpid(), number)

        far.input.write(b"first")
        ending = threading.Thread(target=end)
        ending.start()
        told = carry_until_signal(gateway, local, number)
        ending.join(30)
    assert listens.closed.wait(60)
    assert listens.received == b"first" + words
    assert told == []


def test_what_waits_behind_a_slow_gateway_when_a_signal_comes_is_sent_before_the_close(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_limits, "LEAVE_TIMEOUT", 60)
    # The kernel takes little.
    monkeypatch.setattr(
        relay_limits, "keep_alive", lambda sock: sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    )
    # More than is read before the gateway takes any of it, and no more than local input holds.
    sent = os.urandom(MIB // 4 if chosen[0] is by_core else MIB // 4 * 3)
    written: list[tuple[int, bytes, bytes]] = []
    heard, begun = threading.Event(), threading.Event()

    def end(local: LocalEnd) -> None:
        assert begun.wait(30)
        # It has begun to be read, and is read no further.
        before = len(sent)
        while (left := local.waiting()) in {0, len(sent)} or left != before:
            before = left
            time.sleep(0.2)
        assert before > 50_000
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.2)
        heard.set()

    with local_end() as (local, far), bare_gateway(certificates, written, b"\x82\x01.", heard) as gateway:
        far.input.write(sent)
        ending = threading.Thread(target=end, args=[local])
        ending.start()
        told = carry_until_signal(gateway, local, signal.SIGTERM, begun.set)
        ending.join(30)
    assert b"".join(payload for kind, _, payload in written if kind == frames.BINARY) == sent
    assert (written[-1][0], told) == (frames.CLOSE, [])


def test_a_signal_tells_how_much_a_gateway_that_takes_nothing_has_not_taken(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_limits, "LEAVE_TIMEOUT", 0.5)
    heard = threading.Event()
    size = MIB // 4
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
    theirs.sendall(bytes(size))
    with ours, theirs, bare_gateway(certificates, [], b"\x82\x01.", heard) as gateway:
        (said,) = carry_until_signal(
            gateway, connection(ours), signal.SIGTERM, lambda: os.kill(os.getpid(), signal.SIGTERM)
        )
        heard.set()
    told = re.fullmatch(
        "the signal ended the tunnel before the gateway had taken the last ([0-9]+) bytes", said
    )
    assert told is not None
    assert size - 100_000 < int(told[1]) < size + 2_000


@pytest.mark.usefixtures("late_signals_do_nothing")
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("pause", [0, 0.2])
def test_a_second_signal_has_nothing_waited_for(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, second: signal.Signals, pause: float
) -> None:
    """However soon it comes, and whichever thread the kernel has take it."""
    for limit in ("LEAVE_TIMEOUT", "CLOSE_TIMEOUT"):
        monkeypatch.setattr(relay_limits, limit, HOUR)
    senders = list[threading.Thread]()

    def signal_twice() -> None:
        def send() -> None:
            for number in (signal.SIGINT, second):
                signal.pthread_kill(threading.get_ident(), number)
                time.sleep(pause)

        senders.append(threading.Thread(target=send))
        senders[0].start()
        if not pause:
            # Both have come before the tunnel hears of either.
            senders[0].join()

    heard = threading.Event()
    gives_up = threading.Timer(60, heard.set)
    gives_up.start()
    ours, theirs = socket.socketpair()
    with ours, theirs, bare_gateway(certificates, [], b"\x82\x04word", heard) as gateway:
        carry_until_signal(gateway, connection(ours), signal.SIGINT, signal_twice)
        gives_up.cancel()
        assert not heard.is_set(), "it has waited for the gateway"
        heard.set()
    senders[0].join()


@contextmanager
def nobody_left() -> Iterator[LocalEnd]:
    """Standard streams of which the input has ended after a word and the output has no reader."""
    with local_end() as (local, far):
        far.input.write(b"word")
        far.input.close()
        far.output.close()
        yield local


def test_the_tunnel_ends_when_input_has_ended_and_nobody_reads_output(gateway: StubGateway) -> None:
    listens = Listens()
    gateway.answer = lambda: listens
    with nobody_left() as local:
        carry(gateway, local)
    assert listens.received == b"word"


class AnswersClose(WSListener):
    """Answers the client's Close with a reason of its own, or in no way at all."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        self.code, self.reason = code, reason

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE and self.code is not None:
            transport.send_close(self.code, self.reason)  # type: ignore[arg-type]
            transport.disconnect()
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect(graceful=False)


def test_a_target_that_never_answered_is_told_of_though_nobody_is_left(gateway: StubGateway) -> None:
    gateway.answer = lambda: AnswersClose(1011, "Unable to connect to target")
    with nobody_left() as local, pytest.raises(TunnelClosed) as caught:
        carry(gateway, local)
    assert (caught.value.code, caught.value.reason) == (1011, "Unable to connect to target")


def test_a_close_that_only_the_end_of_the_connection_answers_is_an_error(gateway: StubGateway) -> None:
    gateway.answer = lambda: AnswersClose(None)
    with nobody_left() as local, pytest.raises(TunnelClosed) as caught:
        carry(gateway, local)
    assert caught.value.code == 1006


def test_a_close_that_nothing_answers_is_an_error(
    gateway: StubGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_limits, "CLOSE_TIMEOUT", 1.0)

    class Deaf(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            transport.underlying_transport.pause_reading()

    gateway.answer = Deaf
    with nobody_left() as local, pytest.raises(TunnelClosed, match="did not answer"):
        carry(gateway, local)


def test_what_the_kernel_still_has_for_a_slow_gateway_is_waited_for_when_nobody_is_left(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_limits, "CLOSE_TIMEOUT", 1.0)
    monkeypatch.setattr(relay_limits, "CHECK_INTERVAL", 0.1)
    sent = os.urandom(MIB // 4)
    written: list[tuple[int, bytes, bytes]] = []
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
    theirs.sendall(sent)
    theirs.close()
    with ours, bare_gateway(certificates, written, b"", pause=0.3) as gateway:
        carry(gateway, connection(ours))
    assert b"".join(payload for kind, _, payload in written if kind == frames.BINARY) == sent


def test_a_gateway_that_takes_no_more_is_told_of_with_what_it_has_not_taken(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_limits, "CLOSE_TIMEOUT", 0.5)
    monkeypatch.setattr(relay_limits, "CHECK_INTERVAL", 0.1)
    heard = threading.Event()
    ours, theirs = socket.socketpair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MIB)
    theirs.sendall(os.urandom(MIB // 4))
    theirs.close()
    with ours, bare_gateway(certificates, [], b"", heard) as gateway:
        with pytest.raises(TunnelClosed, match=r"had not taken the last [1-9][0-9]{4,} bytes"):
            carry(gateway, connection(ours))
        heard.set()


def test_a_gateway_has_the_time_to_find_that_its_target_does_not_answer() -> None:
    assert relay_limits.CLOSE_TIMEOUT > CONNECT_TIMEOUT


def test_the_request_is_the_one_of_the_aws_cli(gateway: StubGateway) -> None:
    gateway.answer = lambda: Says(b"", 1000, "")
    carry_bytes(gateway, b"")
    (request,) = gateway.requests
    assert request.method == b"GET"
    assert request.path.startswith(
        b"/openTunnel?instanceConnectEndpointId=eice-0123456789abcdef0&remotePort=22&"
    )
    assert request.headers["Host"] == DNS_NAME
    assert request.headers["User-Agent"].startswith("hatchway/")
    assert request.headers.getall("Sec-WebSocket-Version") == ["13"]


def test_a_refusal_carries_status_code_message_and_request_id(gateway: StubGateway) -> None:
    body = json.dumps({"ErrorCode": "AccessDeniedException", "Message": "User: x is not authorized"}).encode()
    gateway.answer = lambda: refusal(403, body, {"x-amzn-requestid": "5d2c"})
    with pytest.raises(TunnelRefused) as caught:
        carry_bytes(gateway, b"")
    error = caught.value
    assert (error.status, error.error_code, error.message) == (
        403,
        "AccessDeniedException",
        "User: x is not authorized",
    )
    assert error.request_id == "5d2c"
    assert str(error).startswith("AccessDeniedException: User: x is not authorized (request id 5d2c): ")


def test_what_a_gateway_explains_stands_in_the_line(gateway: StubGateway) -> None:
    said = {"ErrorCode": "AccessDeniedException", "Message": "no", "Explanation": "give less\x1b"}
    gateway.answer = lambda: refusal(403, json.dumps(said).encode(), {"x-amzn-requestid": "5d2c"})
    with pytest.raises(TunnelRefused) as caught:
        carry_bytes(gateway, b"")
    assert str(caught.value) == "AccessDeniedException: no (request id 5d2c): give less\ufffd"
    assert caught.value.explanation == "give less\ufffd"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b'{"ErrorCode": 7, "Message": null}', b"[" * 9_999])
def test_a_refusal_with_an_odd_body_still_tells_the_status(gateway: StubGateway, body: bytes) -> None:
    gateway.answer = lambda: refusal(503, body)
    with pytest.raises(TunnelRefused) as caught:
        carry_bytes(gateway, b"")
    assert caught.value.status == 503


def test_a_gateway_with_a_certificate_of_an_unknown_ca_is_not_trusted(gateway: StubGateway) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(GatewayUnreachable, match="certificate is not trusted"):
        chosen[0](tunnel_plan(gateway), Trust(None), connection(ours))
    assert gateway.requests == []


def test_a_certificate_for_another_name_is_not_trusted(gateway: StubGateway) -> None:
    ours, theirs = socket.socketpair()
    other = tunnel_plan(gateway, dns_name="other.example.test")
    with (
        ours,
        theirs,
        pytest.raises(GatewayUnreachable, match=r"not trusted .*by a name that its certificate has"),
    ):
        carry(gateway, connection(ours), other)
    assert gateway.requests == []


def test_a_port_where_nobody_listens_is_unreachable(gateway: StubGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    gateway.port = port
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(GatewayUnreachable, match=str(port)):
        carry(gateway, connection(ours))


def test_a_gateway_that_closes_the_connection_without_an_answer_is_unreachable(
    gateway: StubGateway, certificates: Certificates
) -> None:
    def hang_up() -> None:
        sock, _ = server.accept()
        with sock, certificates.server_context().wrap_socket(sock, server_side=True) as secure:
            secure.recv(1 << 16)

    with socket.create_server(("127.0.0.1", 0)) as server:
        gateway.port = server.getsockname()[1]
        thread = threading.Thread(target=hang_up)
        thread.start()
        ours, theirs = socket.socketpair()
        with ours, theirs, pytest.raises(GatewayUnreachable, match="ended before there was an answer"):
            carry(gateway, connection(ours))
        thread.join(60)


def test_a_connection_comes_from_the_source_address_that_was_asked_for(gateway: StubGateway) -> None:
    peers: list[str] = []

    class Looks(WSListener):
        def on_ws_connected(self, transport: WSTransport) -> None:
            peers.append(transport.underlying_transport.get_extra_info("peername")[0])
            transport.send_close(WSCloseCode.OK)

    gateway.answer = Looks
    ours, theirs = socket.socketpair()
    with ours, theirs:
        from_there = tunnel_plan(gateway, source_address="127.0.9.7")
        carry(gateway, connection(ours), from_there)
    assert peers == ["127.0.9.7"]


def test_without_an_address_the_endpoint_s_dns_name_is_resolved(gateway: StubGateway) -> None:
    gateway.answer = lambda: Says(b"", 1000, "")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        by_name = tunnel_plan(gateway, dns_name="localhost", address=None)
        carry(gateway, connection(ours), by_name)
    assert len(gateway.requests) == 1


@pytest.mark.parametrize(("no_proxy", "through"), [("", True), ("127.0.0.1", False)])
def test_the_environment_s_proxy_is_used_unless_no_proxy_names_the_gateway(
    gateway: StubGateway, monkeypatch: pytest.MonkeyPatch, no_proxy: str, through: bool
) -> None:
    gateway.answer = lambda: Says(b"hello", 1000, "")
    asked: list[bytes] = []

    def pipe(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            client, _ = proxy.accept()
            with client, socket.create_connection(("127.0.0.1", gateway.port)) as server:
                asked.append(client.recv(65536))
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pipe, args=[server, client])
                back.start()
                pipe(client, server)
                back.join(60)

    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert carry_bytes(gateway, b"") == b"hello"
        finally:
            with suppress(OSError):
                proxy.shutdown(socket.SHUT_RDWR)
            thread.join(60)
    connect = f"CONNECT 127.0.0.1:{gateway.port} HTTP/1.1".encode()
    assert [line.split(b"\r\n")[0] for line in asked] == ([connect] if through else [])


@pytest.mark.parametrize("name", ["a\0b", "\udcff", "a..b", "x" * 64, "x." * 127, "\u202e", " ", "a\nb"])
def test_what_is_no_name_leads_nowhere_in_words(gateway: StubGateway, name: str) -> None:
    ours, theirs = socket.socketpair()
    for where in ({"address": name}, {"dns_name": name}):
        with pytest.raises(GatewayUnreachable) as caught:
            chosen[0](tunnel_plan(gateway, **where), Trust(gateway.ca_bundle), connection(ours))
        assert "Traceback" not in str(caught.value)
    ours.close()
    theirs.close()


def test_a_terminal_is_no_input_for_a_tunnel() -> None:
    leader, terminal = os.openpty()
    try:
        with pytest.raises(InvalidOption, match="--local-port"), standard_streams(terminal, leader):
            pass
    finally:
        os.close(leader)
        os.close(terminal)


def test_pipes_are_left_as_they_were_found() -> None:
    read, write = os.pipe()
    os.set_blocking(write, False)
    with standard_streams(read, write):
        assert not os.get_blocking(read)
    assert os.get_blocking(read)
    assert not os.get_blocking(write)
    os.close(read)
    with pytest.raises(InvalidOption, match="open"), standard_streams(read, write):
        pass
    os.close(write)


def test_a_pipe_that_ends_alone_is_left_to_its_other_writers_as_it_was_found() -> None:
    read, write = os.pipe()
    other = os.dup(write)
    os.set_blocking(other, False)
    with standard_streams(read, write) as local:
        local.end_output()
    assert not os.get_blocking(other)
    for end in (read, write, other):
        os.close(end)


def test_a_ca_bundle_without_certificates_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (empty, tmp_path / "missing.pem"):
        for trusted in (trust, Trust):
            with pytest.raises(InvalidOption, match="CA bundle"):
                trusted(str(path))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            ConnectionRefusedError(111, "Connect call failed ('10.0.1.254', 443)"),
            "[Errno 111] Connection refused",
        ),
        (
            OSError(
                "Multiple exceptions: [Errno 101] Connect call failed ('::1', 1, 0, 0),"
                " [Errno 111] Connect call failed ('127.0.0.1', 1)"
            ),
            "[Errno 111] Connection refused",
        ),
        (TimeoutError("timed out"), "timed out"),
        (ValueError("[Errno 111] is no name"), "[Errno 111] is no name"),
    ],
)
def test_what_a_connection_fails_of_is_told_in_the_systems_words(problem: Exception, said: str) -> None:
    told = as_the_system_says(problem)
    assert str(told) == said
    assert isinstance(told, ConnectionRefusedError) == said.endswith("refused")
