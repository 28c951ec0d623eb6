"""TLS on a connection, against OpenSSL's own client and Python's."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from tests.programs import needs
from tests.transport.compiled import core_context, needs_core
from tests.transport.harness import LOOPBACK, USES_CORE, client_tls, connection_tls, run, until
from tests.transport.openssl_client import first_words, needs_openssl
from tests.transport.records import HANDSHAKE, KEY_UPDATE, Records, telling_client_tls

from hatchway.transport.connection.allowance import BURST, RATE, SHARED_BURST
from hatchway.transport.connection.readiness import Readiness
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.connection.tls import MAX_UNTRUSTED_READS, READ_SIZE, TlsConnection

ROOM = memoryview(bytearray(5000))


class Echo(TlsConnection):
    """One that says everything back."""

    def __init__(self, readiness: Readiness, sock: socket.socket) -> None:
        tls = connection_tls()
        super().__init__(readiness, sock, tls if isinstance(tls, ssl.SSLContext) else tls.session())
        self.received = bytearray()
        self.echoes = True
        # What each piece that it gets costs, and how much of it is waste, besides what is counted anyway.
        self.costs = self.wastes = 0
        self.lost = asyncio.Event()

    def room(self) -> memoryview:
        return ROOM

    def on_decrypted(self, size: int) -> None:
        self.received += ROOM[:size]
        self.cost += self.costs
        self.waste += self.wastes
        if self.echoes:
            self.write(ROOM[:size])

    def on_full(self) -> None:
        if self.echoes:
            self.hold(Hold.BACKLOG)

    def on_ready(self) -> None:
        self.release(Hold.BACKLOG)

    def on_lost(self) -> None:
        super().on_lost()
        self.lost.set()


@asynccontextmanager
async def listening(make: type[Echo] = Echo) -> AsyncIterator[tuple[int, asyncio.Queue[Echo]]]:
    """A port at which TLS is echoed, and the connections that it gets."""
    loop, made = asyncio.get_running_loop(), asyncio.Queue[Echo]()
    readiness = Readiness(loop)
    with socket.create_server((LOOPBACK, 0)) as sock:
        sock.setblocking(False)

        def accept() -> None:
            accepted, _ = sock.accept()
            accepted.setblocking(False)
            echo = make(readiness, accepted)
            made.put_nowait(echo)
            echo.begin()

        loop.add_reader(sock.fileno(), accept)
        yield sock.getsockname()[1], made
        loop.remove_reader(sock.fileno())


async def openssl(port: int, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"{LOOPBACK}:{port}", "-quiet", "-no_ign_eof", *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


class Raw:
    """A client that holds TLS and TCP apart."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_tls()).wrap_bio(self.incoming, self.outgoing)

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> "Raw":
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (LOOPBACK, port))
        return cls(sock, context)

    async def shake_hands(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.send(self.outgoing.read())
                self.incoming.write(await self.receive())
            else:
                await self.send(self.outgoing.read())
                return

    async def say(self, word: bytes) -> None:
        """Say it, and hear it said back."""
        self.tls.write(word)
        await self.send(self.outgoing.read())
        assert await self.read_exactly(len(word)) == word

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.sock, 1 << 18)

    async def read(self) -> bytes:
        """What is decrypted next; nothing at the end of TLS."""
        while True:
            try:
                return self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                data = await self.receive()
                assert data, "TCP ended before TLS"
                self.incoming.write(data)

    async def read_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            data += await self.read()
        return bytes(data)


@asynccontextmanager
async def met(
    make: type[Echo] = Echo, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Raw, Echo]]:
    """A client that has shaken hands, and the connection that it has got."""
    async with listening(make) as (port, made):
        client = await Raw.connect(port, context)
        await client.shake_hands()
        echo = await made.get()
        try:
            yield client, echo
        finally:
            client.sock.close()


@needs("openssl", "openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_gets_back_what_it_says_and_a_farewell(version: str) -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await openssl(port, version)
            said, _ = await client.communicate(b"hello\n")
            echo = await made.get()
            await echo.lost.wait()
            assert echo.received == b"hello\n"
            assert said in (b"hello\n", b"")

    run(test)


@needs("openssl", "openssl")
def test_a_client_may_change_its_keys() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await openssl(port, "-tls1_3")
            assert client.stdin is not None
            assert client.stdout is not None
            echo = None
            # "K" at the beginning of a line has the client change its keys and ask for the same.
            for line, answer in ((b"before\n", b"before\n"), (b"K\n", b""), (b"after\n", b"after\n")):
                client.stdin.write(line)
                await client.stdin.drain()
                assert await client.stdout.readexactly(len(answer)) == answer
                echo = echo or await made.get()
                await asyncio.sleep(0.1)
            client.stdin.close()
            await client.wait()
            assert echo is not None
            assert echo.received == b"before\nafter\n"

    run(test)


def test_every_byte_comes_back_whatever_the_pieces() -> None:
    async def test() -> None:
        random = Random(2)
        async with met() as (client, _echo):
            sent = random.randbytes(3_000_000)

            async def send() -> None:
                at = 0
                while at < len(sent):
                    size = random.choice([1, 100, 5000, 16_384, 40_000, READ_SIZE])
                    client.tls.write(sent[at : at + size])
                    at += size
                    records = client.outgoing.read()
                    cut = random.randrange(len(records))
                    await client.send(records[:cut])
                    if random.random() < 0.3:
                        await asyncio.sleep(0.001)
                    await client.send(records[cut:])

            sending = asyncio.create_task(send())
            assert await client.read_exactly(len(sent)) == sent
            await sending

    run(test)


def test_a_hello_that_comes_in_small_pieces_is_understood() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await Raw.connect(port)
            with suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
            hello = client.outgoing.read()
            # Of 300 bytes or of 1,500: key shares differ by the version of OpenSSL.
            size = len(hello) // 40
            pieces = [hello[at : at + size] for at in range(0, len(hello), size)]
            assert 10 < len(pieces) < MAX_UNTRUSTED_READS
            for piece in pieces:
                await client.send(piece)
                await asyncio.sleep(0.002)
            client.incoming.write(await client.receive())
            await client.shake_hands()
            client.tls.write(b"x")
            await client.send(client.outgoing.read())
            assert await client.read() == b"x"
            (await made.get()).abort()
            client.sock.close()

    run(test)


def test_a_client_that_never_gets_to_the_point_is_dropped_before_its_time_is_up() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            with suppress(ConnectionError):
                for _ in range(MAX_UNTRUSTED_READS + 1):
                    client.tls.write(b"x")
                    await client.send(client.outgoing.read())
                    await client.read()
            await echo.lost.wait()

    run(test)


def test_a_client_that_is_trusted_may_go_on() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            echo.trust()
            for _ in range(2 * MAX_UNTRUSTED_READS):
                client.tls.write(b"x")
                await client.send(client.outgoing.read())
                assert await client.read() == b"x"

    run(test)


def test_a_malformed_hello_is_answered_with_an_alert() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await Raw.connect(port)
            # A ClientHello without anything in it.
            await client.send(bytes.fromhex("16 0301 0004 01 000000"))
            answer = await client.receive()
            # Content type 21, alert; level 2, fatal (RFC 8446 sections 5.1 and 6).
            assert (answer[0], answer[5]) == (21, 2)
            await (await made.get()).lost.wait()
            client.sock.close()

    run(test)


@needs_openssl
@pytest.mark.skipif(USES_CORE, reason="the core asks for another key: tests/transport/core/test_core_tls.py")
def test_a_client_that_asks_for_a_key_by_a_finite_field_is_reset_before_that_is_computed() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await Raw.connect(port)
            await client.send(first_words("ffdhe8192"))
            with pytest.raises(ConnectionResetError):
                await client.receive()
            await (await made.get()).lost.wait()
            client.sock.close()

    run(test)


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.2p1\r\n", bytes(40)])
def test_what_is_no_tls_is_hung_up_on(words: bytes) -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await Raw.connect(port)
            await client.send(words)
            assert await client.receive() == b""
            await (await made.get()).lost.wait()
            client.sock.close()

    run(test)


def test_a_record_that_was_tampered_with_ends_the_connection_and_nothing_of_it_is_handed_over() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            client.tls.write(b"good")
            good = client.outgoing.read()
            client.tls.write(b"tampered with")
            bad = bytearray(client.outgoing.read())
            bad[-1] ^= 1
            await client.send(good + bytes(bad))
            await echo.lost.wait()
            assert echo.received == b"good"

    run(test)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_client_whose_tls_has_failed_is_sent_nothing_more_and_goes(*, at_once: bool) -> None:
    class Holding(Echo):
        def on_decrypted(self, size: int) -> None:
            self.received += ROOM[:size]
            self.hold(Hold.BACKLOG)
            if at_once:
                self.end()

        def end(self) -> None:
            self.write(b"what cannot be encrypted any more")
            self.shut(b"nor this")
            self.release(Hold.BACKLOG)

    async def test() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: problems.append(problem))
        async with met(Holding) as (client, echo):
            client.tls.write(b"good")
            await client.send(client.outgoing.read() + b"no TLS at all")
            await until(lambda: echo.received)
            if not at_once:
                assert isinstance(echo, Holding)
                echo.end()
            await echo.lost.wait()
            with pytest.raises(ssl.SSLError, match="alert"):
                await client.read()
        assert not problems

    run(test)


def test_what_was_written_before_the_farewell_arrives_and_nothing_written_after_it() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.write(bytes(4_000_000))
            echo.shut()
            echo.write(b"too late")
            assert await client.read_exactly(4_000_000) == bytes(4_000_000)
            assert await client.read() == b""
            assert not echo.is_gone
            client.tls.unwrap()
            await client.send(client.outgoing.read())
            await echo.lost.wait()

    run(test)


def test_what_comes_after_the_farewell_is_not_handed_over_nor_is_room_asked_for() -> None:
    class Full(Echo):
        is_full_up = False

        def room(self) -> memoryview:
            assert not self.is_full_up
            return super().room()

    async def test() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: problems.append(problem))
        async with met(Full) as (client, echo):
            assert isinstance(echo, Full)
            await client.say(b"hello")
            echo.shut()
            echo.is_full_up = True
            client.tls.write(b"too late")
            await client.send(client.outgoing.read())
            assert await client.read() == b""
            with suppress(ssl.SSLError):
                client.tls.unwrap()
            await client.send(client.outgoing.read())
            await echo.lost.wait()
            assert echo.received == b"hello"
        assert not problems

    run(test)


def test_a_client_that_does_not_answer_the_farewell_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.transport.connection.tls.CLOSE_TIMEOUT", 0.2)

    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.write(bytes(8_000_000))
            echo.shut()
            await echo.lost.wait()

    run(test)


def test_a_fin_without_the_end_of_tls_loses_nothing_that_came_before() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            client.tls.write(bytes(100_000))
            await client.send(client.outgoing.read())
            client.sock.shutdown(socket.SHUT_WR)
            assert await client.read_exactly(100_000) == bytes(100_000)
            assert await client.read() == b""
            await echo.lost.wait()
            assert len(echo.received) == 100_000

    run(test)


def test_a_client_that_leaves_within_the_handshake_is_gone() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await Raw.connect(port)
            with suppress(ssl.SSLWantReadError):
                client.tls.do_handshake()
            await client.send(client.outgoing.read()[:50])
            client.sock.close()
            await (await made.get()).lost.wait()

    run(test)


def test_a_client_that_reads_nothing_is_not_read_for_ever() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            echo.trust()

            async def send() -> None:
                while True:
                    client.tls.write(bytes(100_000))
                    await client.send(client.outgoing.read())

            sending = asyncio.create_task(send())
            # What both kernels hold is read yet.
            before = -1
            while before != len(echo.received):
                before = len(echo.received)
                await asyncio.sleep(0.2)
            assert echo.is_full
            sending.cancel()

    run(test)


@pytest.mark.parametrize(
    "behind", [b"", b"x", b"\x17\x03\x03\x00\x05hello" * 50], ids=["nothing", "a byte", "records"]
)
def test_a_client_that_ends_tls_gets_the_rest_whatever_it_sends_behind_the_end(behind: bytes) -> None:
    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.echoes = False
            echo.write(bytes(8_000_000))
            with suppress(ssl.SSLWantReadError):
                client.tls.unwrap()
            await client.send(client.outgoing.read() + behind)
            await asyncio.sleep(0.1)
            assert not echo.is_gone
            got = 0
            with suppress(ConnectionResetError):
                while data := await client.receive():
                    got += len(data)
            assert got > 8_000_000 or behind
            await echo.lost.wait()
            assert echo.received == b"hello"

    run(test)


def test_a_client_that_tampers_and_reads_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.transport.connection.tls.CLOSE_TIMEOUT", 0.2)

    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.echoes = False
            echo.write(bytes(8_000_000))
            await client.send(b"\x17\x03\x03\x00\x20" + bytes(32))
            await echo.lost.wait()

    run(test)


def test_a_client_that_sends_too_much_waste_is_dropped() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.wastes = 10_000
            client.tls.write(b"nothing of use")
            await client.send(client.outgoing.read())
            await echo.lost.wait()

    run(test)


@pytest.mark.parametrize("takes", [False, True])
def test_no_bytes_make_up_for_the_waste_of_a_client_that_takes_nothing(takes: bool) -> None:
    async def test() -> None:
        async with met() as (client, echo):
            echo.trust()
            await client.say(b"hello")
            echo.echoes = False
            while not (takes or echo.is_full):
                echo.write(bytes(1 << 20))
            echo.wastes = 1
            piece = bytes(len(ROOM))
            for _ in range(50):
                for _ in range(60):
                    client.tls.write(piece)
                with suppress(ConnectionError):
                    await client.send(client.outgoing.read())
            if takes:
                await until(lambda: len(echo.received) == 5 + 50 * 60 * len(piece))
                assert not echo.is_gone
            else:
                await echo.lost.wait()

    run(test)


async def begin_to_update_keys(client: Raw, echo: Echo, records: Records) -> None:
    """Send the beginning of the message only, and have it read."""
    await client.send(records.record(b"hello"))
    assert await client.read_exactly(5) == b"hello"
    await client.send(records.record(KEY_UPDATE[:4], HANDSHAKE))
    # The echo is written before the next record is read.
    await asyncio.sleep(0.1)
    assert echo.received == b"hello"


def test_a_client_that_keeps_back_the_rest_of_a_key_update_is_dropped_when_it_is_to_be_told_something() -> (
    None
):
    async def test() -> None:
        with telling_client_tls() as (context, records_of):
            async with met(context=context) as (client, echo):
                await begin_to_update_keys(client, echo, records_of())
                echo.write(b"a ping")
                echo.write(b"and more")
                await echo.lost.wait()
                assert await client.receive() == b""

    run(test)


def test_a_key_update_in_two_records_is_one() -> None:
    async def test() -> None:
        with telling_client_tls() as (context, records_of):
            async with met(context=context) as (client, echo):
                records = records_of()
                await begin_to_update_keys(client, echo, records)
                await client.send(records.record(KEY_UPDATE[4:], HANDSHAKE))
                records.update_keys()
                await client.send(records.record(b"by new keys"))
                assert await client.read_exactly(11) == b"by new keys"

    run(test)


def test_a_farewell_amid_a_key_update_is_left_unsaid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hatchway.transport.connection.tls.CLOSE_TIMEOUT", 0.1)

    async def test() -> None:
        with telling_client_tls() as (context, records_of):
            async with met(context=context) as (client, echo):
                await begin_to_update_keys(client, echo, records_of())
                echo.shut(b"the last word")
                await echo.lost.wait()

    run(test)


@pytest.mark.parametrize("also_held", [False, True])
def test_a_client_that_costs_too_much_is_not_read_for_a_while_and_loses_nothing(also_held: bool) -> None:
    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            # Seconds more than both allowances hold, of which a busy machine may take one.
            echo.costs = int(BURST + SHARED_BURST + RATE * 2)
            client.tls.write(b"dear")
            await client.send(client.outgoing.read())
            assert await client.read_exactly(4) == b"dear"
            echo.costs = 0
            client.tls.write(b"later")
            await client.send(client.outgoing.read())
            await asyncio.sleep(0.02)
            assert echo.received == b"hellodear"
            if also_held:
                echo.hold(Hold.BACKLOG)
                await asyncio.sleep(0.3)
                assert echo.received == b"hellodear"
                echo.release(Hold.BACKLOG)
            assert await client.read_exactly(5) == b"later"

    run(test)


def test_what_was_read_before_it_was_made_is_the_beginning_of_tls() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server((LOOPBACK, 0)) as listening_socket:
            client = await Raw.connect(listening_socket.getsockname()[1])
            accepted, _ = listening_socket.accept()
            accepted.setblocking(False)
            shaking = asyncio.create_task(client.shake_hands())
            beginning = await loop.sock_recv(accepted, 1 << 16)
            echo = Echo(Readiness(loop), accepted)
            echo.begin()
            echo.take(b"")
            echo.take(beginning)
            await shaking
            await client.say(b"hello")
            echo.abort()
            await echo.lost.wait()
            client.sock.close()

    run(test)


def test_a_last_word_goes_before_the_end_of_tls_and_is_said_once() -> None:
    async def test() -> None:
        async with met() as (client, echo):
            await client.say(b"hello")
            echo.shut(b"bye")
            echo.shut(b"bye again")
            assert await client.read_exactly(3) == b"bye"
            assert await client.read() == b""

    run(test)


def test_what_is_left_to_do_is_done_before_more_is_decrypted() -> None:
    class Behind(Echo):
        left = 0

        def on_decrypted(self, size: int) -> None:
            super().on_decrypted(size)
            Behind.left = 3

        @property
        def behind(self) -> bool:
            return Behind.left > 0

        def go_on(self) -> None:
            super().go_on()
            Behind.left -= 1
            if not Behind.left:
                self.write(b"!")

    async def test() -> None:
        async with met(Behind) as (client, echo):
            client.tls.write(b"hello")
            await client.send(client.outgoing.read())
            assert await client.read_exactly(6) == b"hello!"
            assert Behind.left == 0
            echo.abort()

    run(test)


@needs("openssl", "openssl")
def test_a_client_that_does_nothing_but_change_its_keys_is_dropped() -> None:
    async def test() -> None:
        async with listening() as (port, made):
            client = await openssl(port, "-tls1_3")
            assert client.stdin is not None
            echo = await made.get()
            with suppress(ConnectionError):
                for _ in range(5000):
                    if echo.lost.is_set():
                        break
                    client.stdin.write(b"K\n")
                    await client.stdin.drain()
                    await asyncio.sleep(0.003)
            await echo.lost.wait()
            assert not echo.received
            await client.wait()

    run(test)


@needs_core
def test_a_session_of_the_core_s_does_as_python_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = core_context(tmp_path)
    monkeypatch.setattr("tests.transport.connection.test_tls.connection_tls", lambda: context)

    async def test() -> None:
        async with met() as (client, echo):
            for size in (1, 16_384, 100_000):
                await client.say(bytes(size))
            assert len(echo.received) == 116_385
            with suppress(ssl.SSLWantReadError):
                client.tls.unwrap()
            await client.send(client.outgoing.read())
            with pytest.raises(ssl.SSLZeroReturnError):
                await client.read()
            client.sock.close()
            await echo.lost.wait()

    run(test)
