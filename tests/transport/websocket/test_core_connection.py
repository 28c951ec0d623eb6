"""Tunnels whose bytes the compiled core carries, with clients that hold TLS in their own hands."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import select
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast
from unittest import mock

import pytest
import uvloop
from tests.gateway.harness import Running, Says, echo, running_gateway, target
from tests.gateway.hostile_frames import Wire, update_keys
from tests.transport.compiled import core_context, needs_core
from tests.transport.echo_server import echo_server
from tests.transport.harness import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LOOPBACK,
    PING,
    PONG,
    TEXT,
    client_tls,
    frame,
    until,
)
from tests.transport.records import HANDSHAKE, KEY_UPDATE, Records, telling_client_tls

from hatchway.transport.connection.readiness import Readiness
from hatchway.transport.connection.tls import MAX_UNTRUSTED_READS
from hatchway.transport.core.event_loop import new_event_loop
from hatchway.transport.core.flags import (
    COST,
    ENCRYPTED,
    FAILED,
    FULL,
    NOTHING,
    OUTGOING,
    PLAIN,
    READ_SIZE,
    REST,
    SIZE_SHIFT,
)
from hatchway.transport.websocket import core_connection
from hatchway.transport.websocket.core_connection import CoreConnection
from hatchway.transport.websocket.frames import Parsers
from hatchway.transport.websocket.handshake import MAX_HEAD

if TYPE_CHECKING:
    # The core may not be compiled: then these tests skip.
    from hatchway.gateway.trail.trail import TunnelSummary
    from hatchway.transport.core._core import Context

pytestmark = needs_core

Answer = TypeVar("Answer")
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    return core_context(tmp_path_factory.mktemp("core"))


def run(test: Callable[[], Awaitable[Answer]], loop: Loop = new_event_loop) -> Answer:
    async def bounded() -> Answer:
        async with asyncio.timeout(100):
            return await test()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(bounded())


class Client(Wire):
    """One that waits for what comes."""

    connected: ClassVar[list[Wire]] = []

    def __init__(self, gateway: Running, context: ssl.SSLContext | None = None) -> None:
        super().__init__((LOOPBACK, gateway.port), client_tls())
        opened = Wire.open((LOOPBACK, gateway.port), "/openTunnel", context=context)
        self.sock.close()
        self.__dict__.update(opened.__dict__)
        self.connected.append(self)

    def say(self, *frames: bytes) -> None:
        """All in as few records as will hold them, sent at once."""
        self.write(b"".join(frames))
        self.flush()

    def frames(self) -> list[tuple[int, bytes]]:
        """Those that have come whole."""
        found, at, data = [], 0, bytes(self.received)
        while at + 2 <= len(data):
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[at + 2 : at + 4]), at + 4
            if start + size > len(data):
                break
            found.append((data[at] & 0xF, data[start : start + size]))
            at = start + size
        return found

    def hear(self, enough: Callable[[list[tuple[int, bytes]]], bool]) -> list[tuple[int, bytes]]:
        self.sock.settimeout(30)
        while not enough(self.frames()):
            data = self.sock.recv(1 << 18)
            assert data, "the gateway has left"
            self.incoming.write(data)
            self.decrypt()
        return self.frames()

    def hear_now(self) -> None:
        """What is there."""
        with suppress(BlockingIOError):
            while data := self.sock.recv(1 << 18):
                self.incoming.write(data)
                self.decrypt()

    def hear_bytes(self, size: int) -> bytes:
        heard = self.hear(lambda frames: sum(len(text) for kind, text in frames if kind == BINARY) >= size)
        return b"".join(text for kind, text in heard if kind == BINARY)

    def hear_close(self) -> int:
        heard = self.hear(lambda frames: any(kind == CLOSE for kind, _ in frames))
        return next(int.from_bytes(text[:2]) for kind, text in heard if kind == CLOSE)


def tunnel(
    client: Callable[[Running], object],
    context: Context,
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]] = echo,
    loop: Loop = new_event_loop,
) -> TunnelSummary:
    """Have a client, in a thread, do what it does by a tunnel to a target. Returns what came of it."""

    async def test() -> TunnelSummary:
        async with target(handler) as port, running_gateway(Says(port), tls=lambda: context) as gateway:
            try:
                await asyncio.to_thread(client, gateway)
            finally:
                while Client.connected:
                    Client.connected.pop().sock.close()
            end = await gateway.trail.end()
            # Only then has it got what was on its way.
            await until(lambda: not isinstance(handler, Sink) or handler.ended)
            return end

    return run(test, loop)


class Sink:
    """A target that takes everything."""

    def __init__(self, pause: float = 0.0) -> None:
        self.got = bytearray()
        self.ended = False
        self._pause = pause

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self._pause)
        while data := await reader.read(1 << 16):
            self.got += data
        writer.close()
        self.ended = True


@pytest.mark.parametrize("loop", [new_event_loop, uvloop.new_event_loop], ids=["core's loop", "uvloop"])
@pytest.mark.parametrize("seed", range(2))
def test_bytes_come_back_exactly_whatever_frames_records_and_reads_they_are_in(
    seed: int, loop: Loop, context: Context
) -> None:
    chance = random.Random(seed)
    sent, stream, pings = bytearray(), bytearray(), []

    def add(size: int) -> bytes:
        payload = chance.randbytes(size)
        sent.extend(payload)
        return payload

    for _ in range(60):
        size = chance.choice((1, 5, 125, 126, 127, 1000, 30_000, 65_000, 65_535, 65_536, 131_072))
        what = chance.random()
        if what < 0.7:
            stream += frame(BINARY, add(size), key=chance.randbytes(4))
        elif what < 0.8:
            pings.append(chance.randbytes(20))
            stream += frame(PING, pings[-1], key=chance.randbytes(4))
        elif what < 0.9:
            stream += frame(BINARY, add(size), fin=False) + frame(PONG) + frame(CONTINUATION, add(7))
        else:
            stream += b"".join(
                frame(BINARY, add(1), key=chance.randbytes(4)) for _ in range(chance.choice((3, 300)))
            )

    def client(gateway: Running) -> None:
        wire, at = Client(gateway), 0
        while at < len(stream):
            size = chance.choice((1, 3, 100, 16_384, 40_000, 200_000))
            wire.write(bytes(stream[at : at + size]))
            at += size
            encrypted = wire.outgoing.read()
            cut = chance.choice((len(encrypted), 4, len(encrypted) // 2))
            for part in (encrypted[:cut], encrypted[cut:]):
                wire.sock.setblocking(False)
                left = memoryview(part)
                while left:
                    select.select([wire.sock], [wire.sock], [])
                    with suppress(BlockingIOError):
                        left = left[wire.sock.send(left) :]
                    wire.hear_now()
        assert hashlib.sha256(wire.hear_bytes(len(sent))).digest() == hashlib.sha256(sent).digest()
        heard = [text for kind, text in wire.frames() if kind == PONG]
        assert heard
        assert set(heard) <= set(pings)
        wire.say(frame(CLOSE, b"\x03\xe8"))
        assert wire.hear_close() == 1000

    tunnel(client, context, loop=loop)


def test_a_target_that_is_slow_gets_everything_and_then_a_fin(context: Context) -> None:
    sent = random.Random(1).randbytes(3_000_000)
    sink = Sink(0.1)

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        for at in range(0, len(sent), 65_000):
            wire.say(frame(BINARY, sent[at : at + 65_000], key=b"abcd"))
        wire.say(frame(CLOSE, b"\x03\xe8"))
        assert wire.hear_close() == 1000

    tunnel(client, context, sink)
    assert sink.got == sent


def test_a_client_that_is_slow_gets_everything_in_order_what_the_gateway_says_itself_too(
    context: Context,
) -> None:
    sent = random.Random(2).randbytes(5_000_000)

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000)
        for _ in range(5):
            wire.say(frame(PING, b"?"))
            select.select([], [], [], 0.02)
        assert wire.hear_close() == 1000
        heard = wire.frames()
        assert b"".join(text for kind, text in heard if kind == BINARY) == sent
        assert (PONG, b"?") in heard

    tunnel(client, context, flood)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(TEXT, b"hello"), 1003),
        (frame(BINARY, b"x", rsv=4), 1002),
        (frame(BINARY, b"x", key=None), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(BINARY, bytes(131_073)), 1009),
        (struct.pack(">BBQ", 0x82, 0xFF, 1 << 62), 1009),
        (frame(BINARY, b"x", fin=False) + frame(BINARY, b"y"), 1002),
        (frame(CLOSE, b"\x0f\xa0"), 4000),
        (frame(CLOSE, b"\x0f\xa0", key=b"1234"), 4000),
        (frame(CLOSE, b"\x0f\xa0with a reason"), 4000),
        (frame(CLOSE), 1000),
        (frame(CLOSE, b"\x0f\xa0", key=None), 1002),
        (frame(CLOSE, b"\x0f\xa0", rsv=4), 1002),
        (frame(CLOSE, b"\x0f\xa0", fin=False), 1002),
        (frame(CLOSE, b"\x03\xee"), 1002),
        # 1004, 1005, 1015 and 2999, which nobody may send (RFC 6455 section 7.4).
        *(
            (frame(CLOSE, code, key=b"1234"), 1002)
            for code in (b"\x03\xec", b"\x03\xed", b"\x03\xf7", b"\x0b\xb7")
        ),
        (frame(CLOSE, b"\x0f"), 1002),
        (frame(CLOSE, b"\x0f\xa0") + frame(BINARY, b"y"), 4000),
    ],
)
def test_what_is_no_plain_data_ends_as_it_does_without_the_core(
    frames: bytes, code: int, context: Context
) -> None:
    sink = Sink()

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, b"before", key=b"1234"))
        wire.say(frame(BINARY, b" with it"), frames)
        assert wire.hear_close() == code

    tunnel(client, context, sink)
    assert bytes(sink.got) in (b"before with it", b"before with itx")


@pytest.mark.parametrize("kind", [0, 1])
def test_key_updates_amid_data_are_answered(kind: int, context: Context) -> None:
    def client(gateway: Running) -> None:
        wire = Client(gateway)
        for _ in range(3):
            wire.say(frame(BINARY, b"here"))
            update_keys(wire.tls, 1, kind)
            wire.say(frame(BINARY, b"there"))
        assert wire.hear_bytes(27) == b"herethere" * 3

    tunnel(client, context)


def begin_to_update_keys(gateway: Running) -> tuple[Client, Records]:
    """Open a tunnel, and send the beginning of a key update."""
    with telling_client_tls() as (context, records_of):
        wire = Client(gateway, context)
        records = records_of()
    # One record had the request.
    records.record(b"")
    wire.sock.sendall(records.record(frame(BINARY, b"hello")))
    wire.hear_bytes(5)
    wire.sock.sendall(records.record(KEY_UPDATE[:4], HANDSHAKE))
    return wire, records


def test_a_key_update_in_two_records_is_one(context: Context) -> None:
    def client(gateway: Running) -> None:
        wire, records = begin_to_update_keys(gateway)
        select.select([], [], [], 0.05)
        wire.sock.sendall(records.record(KEY_UPDATE[4:], HANDSHAKE))
        records.update_keys()
        wire.sock.sendall(records.record(frame(BINARY, b" by new keys")))
        assert wire.hear_bytes(17) == b"hello by new keys"

    tunnel(client, context)


def test_a_client_that_keeps_back_the_rest_of_a_key_update_loses_the_tunnel_and_nobody_else_anything(
    context: Context,
) -> None:
    problems: list[object] = []

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: problems.append(problem))
        while True:
            writer.write(bytes(1000))
            await writer.drain()
            await asyncio.sleep(0.001)

    def client(gateway: Running) -> None:
        wire, _ = begin_to_update_keys(gateway)
        wire.sock.settimeout(30)
        while wire.sock.recv(1 << 18):
            pass

    assert tunnel(client, context, flood).closure.code == 1006
    assert problems == []


def test_a_flood_of_the_smallest_records_and_frames_is_slowed_and_loses_nothing(context: Context) -> None:
    count = 1000

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, b"first"))
        assert wire.hear_bytes(5) == b"first"
        for _ in range(count):
            wire.write(frame(BINARY, b"s", key=b"\1\2\3\4"))
        wire.flush()
        wire.say(frame(BINARY, b"s") * count)
        assert wire.hear_bytes(5 + 2 * count) == b"first" + b"s" * 2 * count

    end = tunnel(client, context)
    assert end.bytes_in == end.bytes_out == 5 + 2 * count


def test_what_is_not_tls_is_answered_with_an_alert_after_what_came_before(context: Context) -> None:
    sink = Sink()

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, b"all of it"))
        wire.sock.sendall(b"\x17\x03\x03\x00\x40" + os.urandom(64))
        with pytest.raises(ssl.SSLError, match="alert"):
            wire.hear_close()

    tunnel(client, context, sink)
    assert sink.got == b"all of it"


@pytest.mark.parametrize("way", ["TLS", "TCP", "reset"])
def test_a_client_that_leaves_is_gone(way: str, context: Context) -> None:
    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, b"bye"))
        assert wire.hear_bytes(3) == b"bye"
        if way == "TLS":
            wire.write(frame(BINARY, b"and more"))
            with pytest.raises(OSError, match=r"."):
                wire.tls.unwrap()
            wire.flush()
        elif way == "reset":
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sock.close()

    tunnel(client, context)


@pytest.mark.parametrize("reset", [False, True])
def test_a_target_that_leaves_closes_the_tunnel(reset: bool, context: Context) -> None:
    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await reader.readexactly(5)
        if reset:
            writer.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()
        writer.close()

    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, b"hello"))
        wire.hear_bytes(5)
        wire.say(frame(BINARY, b"leave"))
        assert wire.hear_close() == 1000

    tunnel(client, context, leaves)


class StubOutlet:
    """Whoever gets data."""

    outlet = -1

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0
        self.code: int | None = None

    def client_closes(self, code: int) -> None:
        self.code = code

    def carried(self, size: int) -> None:
        self.size += size

    def left_over(self, data: bytes) -> None:
        self.data += data


class Pair:
    """What the core knows of both sockets: what it has carried in part, `flags`, and whether it may go on."""

    has_events = True

    def __init__(self, flags: int) -> None:
        self.flags = flags
        self.reads_client = False

    def take_client(self) -> int:
        return self.flags

    def read_client(self) -> None:
        self.reads_client = True

    def part(self) -> None: ...

    def disarm(self) -> None: ...


class Session:
    """Of the core's, what has been read but not sent."""

    def take_rest(self) -> bytes:
        return b"read before"


class Scripted:
    """Of the core's, one that tells of each turn what a test says. The bytes that it leaves are `left`."""

    def __init__(self, *results: int) -> None:
        self.results = list(results)

    def pending(self) -> int:
        return 0

    def enter(self, _stub: bytes, _record_left: int, _records: int) -> None: ...

    def pump(self, _client: int, _target: int, _most: int, _encrypted: object) -> int:
        return self.results.pop(0)

    def push(self, _target: int, _client: int, _most: int) -> int:
        return self.results.pop(0)

    def take_rest(self) -> bytes:
        return b"left"

    plain = b"\x89\x00"

    def take_plain(self) -> bytes:
        return self.plain

    def take_encrypted(self) -> bytes:
        return b"records"

    def take_cost(self) -> tuple[int, int, int]:
        return 1, 2, 3


class Parser:
    """Of frames that the core does not take."""

    is_busy = behind = False

    def __init__(self) -> None:
        self.given = b""

    def give(self, data: bytes) -> None:
        self.given += data


@asynccontextmanager
async def scripted(
    context: Context, *results: int
) -> AsyncIterator[tuple[CoreConnection, StubOutlet, Parser]]:
    """A connection of which the core tells these results, turn by turn."""
    one, other = socket.socketpair()
    one.setblocking(False)
    with other:
        connection = CoreConnection(Readiness(asyncio.get_running_loop()), one, context, Parsers())
        outlet, parser = StubOutlet(), Parser()
        connection.carry_to(outlet)
        connection._websocket = cast("Any", parser)
        whole, connection._session = connection._session, cast("Any", Scripted(*results))
        yield connection, outlet, parser
        connection._websocket, connection._session = None, whole
        connection.abort()
        await asyncio.sleep(0)


def test_it_has_the_core_go_on_while_reads_are_full_until_others_have_waited_long_enough(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        full = 10 << SIZE_SHIFT | FULL
        async with scripted(context, full, full, 7 << SIZE_SHIFT, full, full) as (connection, outlet, _):
            monkeypatch.setattr(core_connection, "TURN", 60.0)
            assert (connection.turn(), outlet.size) == (False, 27)
            monkeypatch.setattr(core_connection, "TURN", -1.0)
            assert (connection.turn(), outlet.size) == (True, 47)

    run(test)


def test_while_reads_are_full_the_core_goes_on_by_itself_if_it_knows_both_sockets(context: Context) -> None:
    async def test() -> None:
        async with scripted(context, 10 << SIZE_SHIFT | FULL) as (connection, outlet, _):
            pair = Pair(flags=0)
            outlet.outlet = 7
            connection.pair = cast("Any", pair)
            assert (connection.turn(), outlet.size, pair.reads_client) == (False, 10, True)
            connection.pair = None

    run(test)


def test_what_the_core_leaves_to_python_goes_to_whom_it_is_for(context: Context) -> None:
    async def test() -> None:
        flags = REST | PLAIN | ENCRYPTED | COST | OUTGOING
        async with scripted(context, 4 << SIZE_SHIFT | flags, flags | FULL, NOTHING) as (
            connection,
            outlet,
            parser,
        ):
            assert connection.turn()
            assert (outlet.size, bytes(outlet.data), parser.given) == (4, b"left", b"\x89\x00")
            assert connection._allowance is not None
            assert connection._encrypted is not None
            assert bytes(connection._encrypted) == b"records"
            assert connection.turn()
            connection._encrypted = None
            assert not connection.turn()

    run(test)


def test_a_client_that_closes_needs_no_parser_but_for_its_reason(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        for payload, code in ((b"\x0f\xa0", 4000), (b"", 1000), (b"\x0f\xa0for good", None)):
            said = frame(CLOSE, payload, key=b"1234")
            monkeypatch.setattr(Scripted, "plain", said)
            async with scripted(context, PLAIN) as (connection, outlet, parser):
                assert not connection.turn()
                assert (outlet.code, parser.given) == (code, said if code is None else b"")

    run(test)


def test_one_that_is_slowed_stays_in_python_s_hands_while_reads_are_full(context: Context) -> None:
    async def test() -> None:
        full = 10 << SIZE_SHIFT | FULL
        async with scripted(context, full, full, 7 << SIZE_SHIFT) as (connection, outlet, _):
            connection._slowed = True
            assert (connection.turn(), outlet.size, connection._slowed) == (False, 27, False)

    run(test)


def test_what_the_core_could_not_send_of_a_target_s_is_sent_by_python(context: Context) -> None:
    async def test() -> None:
        async with scripted(context, 5 << SIZE_SHIFT | OUTGOING) as (connection, _, _):
            with mock.patch.object(CoreConnection, "send") as send:
                assert connection.carry_from(0) == 5 << SIZE_SHIFT | OUTGOING
            assert send.call_count == 1

    run(test)


def test_a_connection_of_which_the_core_says_that_it_has_failed_is_dropped(context: Context) -> None:
    async def test() -> None:
        async with scripted(context, FAILED) as (connection, _, _):
            assert not connection.turn()
            assert connection.is_gone

    run(test)


def test_the_core_does_not_begin_amid_what_tls_has_already(context: Context) -> None:
    async def test() -> None:
        async with scripted(context) as (connection, _, _):
            connection._in_core = False
            connection._incoming.write(b"\x17\x03\x03")
            assert not connection._enter_core()

    run(test)


def test_what_was_read_of_a_client_that_is_dropped_is_handed_over(context: Context) -> None:
    async def test() -> None:
        one, other = socket.socketpair()
        one.setblocking(False)
        with other:
            connection = CoreConnection(Readiness(asyncio.get_running_loop()), one, context, Parsers())
            outlet = StubOutlet()
            connection.carry_to(outlet)
            connection.pair = cast("Any", Pair(flags=8))
            connection._session = cast("Any", Session())
            assert connection.has_more
            connection.abort()
            assert outlet.data == b"read before"
            await asyncio.sleep(0)

    run(test)


def test_a_socket_that_fails_has_the_connection_dropped(context: Context) -> None:
    def client(gateway: Running) -> None:
        wire = Client(gateway)
        wire.say(frame(BINARY, bytes(READ_SIZE)))
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.sock.close()

    async def never(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)

    tunnel(client, context, never)


def test_before_the_request_what_waits_for_a_client_goes_before_what_the_core_has_for_it(
    context: Context,
) -> None:
    async def test() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        with theirs:
            connection = CoreConnection(Readiness(asyncio.get_running_loop()), ours, context, Parsers())
            connection.on_request = lambda: None
            connection.begin()
            # More than its kernel takes: the end waits in Python.
            waiting = os.urandom(1 << 20)
            connection.send(waiting)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_tls().wrap_bio(incoming, outgoing)
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            hello = outgoing.read()
            # The first piece calls for no answer.
            theirs.send(hello[:5])
            await asyncio.sleep(0.05)
            theirs.send(hello[5:])
            received = bytearray()
            while len(received) <= len(waiting):
                with suppress(BlockingIOError):
                    received += theirs.recv(1 << 16)
                await asyncio.sleep(0)
            assert received.startswith(waiting)
            incoming.write(received[len(waiting) :])
            client.do_handshake()
            connection.abort()
            await asyncio.sleep(0)

    run(test)


def test_a_client_whose_request_is_refused_is_read_so_often_and_then_reset(context: Context) -> None:
    def refused(port: int) -> int:
        """How many reads of one byte it takes until the connection is reset."""
        with socket.create_connection((LOOPBACK, port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = client_tls().wrap_bio(incoming, outgoing)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(1 << 16))
            client.write(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD)
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(1 << 16))
            client.write(bytes(200))
            more = outgoing.read()
            for sent, byte in enumerate(more):
                try:
                    sock.sendall(bytes([byte]))
                    time.sleep(0.005)
                except ConnectionError:
                    return sent
            raise AssertionError("it is read on and on")

    async def test() -> None:
        async with echo_server(tls=lambda: context) as server:
            assert await asyncio.to_thread(refused, server.port) <= MAX_UNTRUSTED_READS + 2

    run(test)
