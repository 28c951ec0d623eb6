"""Gateways that send without end what carries little or nothing: each way to carry a tunnel takes it for what
it is."""

import asyncio
import os
import signal
import socket
import ssl
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tests.client.carriers import CARRIERS, run_by
from tests.client.certificates import Certificates
from tests.client.stubs import DNS_NAME, StubGateway, tunnel_plan
from tests.client.tunnel.test_asyncio_relay import Wire
from tests.client.tunnel.test_asyncio_relay import gateway as wire_gateway
from tests.transport.compiled import needs_core
from tests.transport.records import Records

from hatchway.client.connection.tls import Trust
from hatchway.client.errors import TunnelClosed
from hatchway.client.tunnel import relay_limits
from hatchway.client.tunnel.asyncio_opening import _Tls
from hatchway.client.tunnel.frames import FrameReader
from hatchway.client.tunnel.local import LocalEnd, connection
from hatchway.client.tunnel.python_session import PythonSession
from hatchway.client.tunnel.stream_relay import StreamRelay
from hatchway.client.tunnel.tunnel import open_tunnel

each_way = pytest.mark.parametrize(
    "way", [pytest.param(name, marks=needs_core if name == "core" else ()) for name in CARRIERS]
)

CLOSE = b"\x88\x02\x03\xe8"


def small_records(records: Records) -> bytes:
    data = b"".join(b"\x82\x01" + bytes([number % 251]) for number in range(3_000))
    return b"".join(records.record(data[at : at + 1]) for at in range(len(data)))


FLOODS: dict[str, tuple[Callable[[Records], bytes], bytes]] = {
    "records of a byte": (small_records, bytes(number % 251 for number in range(3_000))),
    "empty frames": (lambda records: records.record(b"\x82\x00" * 8_000), b""),
    "empty fragments": (
        lambda records: records.record(b"\x02\x00" + b"\x00\x00" * 8_000 + b"\x80\x00"),
        b"",
    ),
    "pings": (lambda records: records.record(b"\x89\x00" * 8_000), b""),
    "pongs": (lambda records: records.record(b"\x8a\x00" * 8_000), b""),
}
"""What is sent, and what of it is for the local end."""


@contextmanager
def local_end() -> Iterator[tuple[LocalEnd, bytearray]]:
    """One, and what comes out of it."""
    ours, theirs = socket.socketpair()
    received = bytearray()

    def collect() -> None:
        while data := theirs.recv(1 << 16):
            received.extend(data)

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        yield connection(ours), received
    finally:
        ours.close()
        reader.join(30)
        theirs.close()


@contextmanager
def flooding(
    certificates: Certificates, directory: Path, flood: Callable[[Records], Iterator[bytes]]
) -> Iterator[StubGateway]:
    """A gateway that sends all this, and takes whatever comes."""

    def act(wire: Wire) -> None:
        records = wire.records()
        with wire.raw as raw:

            def take() -> None:
                with suppress(OSError):
                    while raw.recv(1 << 16):
                        pass

            taker = threading.Thread(target=take)
            taker.start()
            with suppress(OSError):
                for piece in flood(records):
                    raw.sendall(piece)
            taker.join(30)

    with wire_gateway(certificates, directory, act) as stub:
        yield stub


@each_way
@pytest.mark.parametrize("kind", FLOODS)
def test_what_carries_little_or_nothing_is_passed_over_and_all_the_rest_arrives(
    way: str, kind: str, certificates: Certificates, tmp_path: Path
) -> None:
    make, carried = FLOODS[kind]

    def flood(records: Records) -> Iterator[bytes]:
        for _ in range(4):
            yield make(records)
        yield records.record(b"\x82\x05alive" + CLOSE)

    with local_end() as (local, received), flooding(certificates, tmp_path, flood) as stub:
        CARRIERS[way](tunnel_plan(stub), Trust(stub.ca_bundle), local)
    assert received == carried * 4 + b"alive"


@each_way
def test_bytes_that_come_one_by_one_and_nobody_takes_fill_no_memory_but_their_own(
    way: str, certificates: Certificates, tmp_path: Path
) -> None:
    """Each as an object of its own takes 250 bytes."""
    count = 20_000
    held = list[int]()
    ours, theirs = socket.socketpair()
    received = bytearray()
    answered = threading.Event()

    def act(wire: Wire) -> None:
        records = wire.records()
        with wire.raw as raw:
            before = tracemalloc.get_traced_memory()[0]
            # Less than is held back: whoever has it all answers the ping.
            for _ in range(count // 5_000):
                raw.sendall(records.record(b"\x82\x01x" * 5_000))
            raw.sendall(records.record(b"\x89\x00"))
            raw.recv(1 << 16)
            held.append(tracemalloc.get_traced_memory()[0] - before)
            answered.set()
            raw.sendall(records.record(CLOSE))
            while raw.recv(1 << 16):
                pass

    def collect() -> None:
        answered.wait(60)
        while data := theirs.recv(1 << 16):
            received.extend(data)

    reader = threading.Thread(target=collect)
    reader.start()
    tracemalloc.start()
    try:
        with theirs, wire_gateway(certificates, tmp_path, act) as stub:
            with ours:
                CARRIERS[way](tunnel_plan(stub), Trust(stub.ca_bundle), connection(ours))
            reader.join(30)
    finally:
        tracemalloc.stop()
    assert received == b"x" * count
    assert held[0] < 100 * count


@each_way
def test_records_without_data_end_the_tunnel_soon(
    way: str, certificates: Certificates, tmp_path: Path
) -> None:
    """OpenSSL takes 32 of them one after the other."""

    def flood(records: Records) -> Iterator[bytes]:
        yield b"".join(records.record(b"") for _ in range(100))
        yield records.record(b"\x82\x05alive" + CLOSE)

    with (
        local_end() as (local, received),
        flooding(certificates, tmp_path, flood) as stub,
        pytest.raises(TunnelClosed, match="connection to the gateway was lost"),
    ):
        CARRIERS[way](tunnel_plan(stub), Trust(stub.ca_bundle), local)
    assert not received


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many frames have been read by now."""
    count = [0]
    read = FrameReader.read

    def counting(reader: FrameReader, data: memoryview) -> Iterator[tuple[int, memoryview | bytes]]:
        for each in read(reader, data):
            count[0] += 1
            yield each

    monkeypatch.setattr(FrameReader, "read", counting)
    return count


FLOODS_OF_SMALL = {
    **FLOODS,
    "frames of a byte": (lambda records: records.record(b"\x82\x01x" * 5_000), b"x" * 5_000),
}


@pytest.mark.parametrize("carrier", ["event_loop", pytest.param("core", marks=needs_core)])
@pytest.mark.parametrize("kind", FLOODS_OF_SMALL)
def test_between_two_turns_of_others_a_tunnel_reads_few_frames(
    carrier: str, kind: str, counted: list[int], certificates: Certificates, tmp_path: Path
) -> None:
    make, carried = FLOODS_OF_SMALL[kind]

    def flood(records: Records) -> Iterator[bytes]:
        yield b"".join(make(records) for _ in range(4)) + records.record(CLOSE)

    async def most_at_once(stub: StubGateway, local: LocalEnd) -> None:
        opened = asyncio.ensure_future(open_tunnel(tunnel_plan(stub), Trust(stub.ca_bundle), local))
        most, before = 0, 0
        while not opened.done():
            await asyncio.sleep(0)
            most, before = max(most, counted[0] - before), counted[0]
        await opened
        assert most <= 3 * relay_limits.MOST_FRAMES

    with local_end() as (local, received), flooding(certificates, tmp_path, flood) as stub:
        run_by(CARRIERS[carrier], most_at_once(stub, local))
    assert received == carried * 4
    assert counted[0]


@pytest.mark.usefixtures("late_signals_do_nothing")
@pytest.mark.parametrize("kind", FLOODS_OF_SMALL)
def test_a_signal_ends_a_tunnel_on_standard_streams_after_few_frames(
    kind: str,
    counted: list[int],
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make, _ = FLOODS_OF_SMALL[kind]
    read_before: list[int] = []
    send_close, act = StreamRelay._send_close, StreamRelay._act_on

    def closing(relay: StreamRelay, code: int) -> None:
        read_before.append(counted[0])
        send_close(relay, code)

    def acting(relay: StreamRelay, kind: int, payload: memoryview | bytes) -> None:
        if counted[0] == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        act(relay, kind, payload)

    monkeypatch.setattr(StreamRelay, "_send_close", closing)
    monkeypatch.setattr(StreamRelay, "_act_on", acting)

    def flood(records: Records) -> Iterator[bytes]:
        yield b"".join(make(records) for _ in range(4)) + records.record(CLOSE)

    with (
        local_end() as (local, _),
        flooding(certificates, tmp_path, flood) as stub,
        pytest.raises(SystemExit),
    ):
        CARRIERS["alone"](tunnel_plan(stub), Trust(stub.ca_bundle), local)
    assert read_before[0] <= 3 * relay_limits.MOST_FRAMES


@pytest.mark.parametrize("by_core", [False, pytest.param(True, marks=needs_core)])
def test_an_answer_in_records_of_a_byte_leaves_others_their_turns(
    by_core: bool, certificates: Certificates
) -> None:
    size = 2_000

    def serve() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates.server_context().wrap_bio(incoming, outgoing, server_side=True)
        while True:
            incoming.write(theirs.recv(1 << 16))
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
            theirs.sendall(outgoing.read())
        for _ in range(size):
            tls.write(b"x")
        theirs.sendall(outgoing.read())

    async def turns() -> int:
        trust, count = Trust(str(certificates.ca)), 0
        session = trust.compiled.session(DNS_NAME) if by_core else PythonSession(trust.everything, DNS_NAME)
        tls = _Tls(ours, session)
        serving = asyncio.create_task(asyncio.to_thread(serve))
        await tls.shake_hands(DNS_NAME)
        await serving

        async def receive() -> None:
            for _ in range(size):
                assert await tls.receive() == b"x"

        receiving = asyncio.create_task(receive())
        while not receiving.done():
            await asyncio.sleep(0)
            count += 1
        await receiving
        return count

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        assert asyncio.run(turns()) >= size / 16
