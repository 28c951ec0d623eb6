"""How many TLS records a request may take, and what a client sends after the server has closed."""

import asyncio
import socket
import ssl
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.transport.harness import LOOPBACK, client_tls, run, server_tls
from tests.transport.openssl_client import first_words, needs_openssl

from hatchway.transport.asyncio_tls import CARRIED, DISCARDED, READ, RECORDS, Records, TlsProtocol


def record(size: int) -> bytes:
    return b"\x17\x03\x03" + size.to_bytes(2) + bytes(size)


def taken(records: Records, data: bytes, cuts: list[int]) -> bool:
    """Whether all of it is taken, however it is cut."""
    at = 0
    for cut in [*cuts, len(data)]:
        piece = data[at : at + cut]
        at += len(piece)
        if piece and records.are_too_many(memoryview(piece)):
            return False
    return True


@given(
    sizes=st.lists(st.sampled_from([0, 1, 22, 300, 16_400]), max_size=20),
    cuts=st.lists(st.integers(1, 400), max_size=300),
)
def test_records_are_counted_the_same_however_they_arrive(sizes: list[int], cuts: list[int]) -> None:
    records, whole = Records(), Records()
    data = b"".join(map(record, sizes))
    assert taken(records, data, cuts)
    assert taken(whole, data, [])
    assert records._left == whole._left == RECORDS - len(sizes)


def test_small_ones_are_bounded_and_a_request_s_answer_allows_as_many_again() -> None:
    records = Records()
    small = record(22)
    free = len(small) / CARRIED
    most = int(RECORDS / (1 - free))
    assert taken(records, small * most, [])
    assert not taken(records, small * 10, [])
    records.begin()
    assert taken(records, small * most, [])


def test_a_body_in_the_smallest_records_that_clients_agree_on_is_taken() -> None:
    assert taken(Records(), record(CARRIED) * 2048, [1000] * 500)


class Echo(asyncio.Protocol):
    """Says everything back. After each word it may hear as many records again, if it is `patient`."""

    def __init__(self, records: Records, *, patient: bool) -> None:
        self._records = records
        self._patient = patient

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)
        if self._patient:
            self._records.begin()


@pytest.mark.parametrize("patient", [False, True])
def test_a_connection_with_more_records_than_a_request_may_take_is_reset(patient: bool) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server((LOOPBACK, 0)) as listening:
            listening.setblocking(False)
            connecting = asyncio.create_task(
                asyncio.open_connection(*listening.getsockname(), ssl=client_tls())
            )
            accepted, _ = await loop.sock_accept(listening)
            records = Records()
            echo = Echo(records, patient=patient)
            tls = TlsProtocol(
                loop, echo, server_tls(), loop.create_future(), server_side=True, records=records
            )
            await loop.connect_accepted_socket(lambda: tls, accepted)
            reader, writer = await connecting

            async def say_words() -> None:
                for _ in range(2 * RECORDS):
                    writer.write(b"x")
                    assert await reader.readexactly(1) == b"x"

            if patient:
                await say_words()
            else:
                with pytest.raises((ConnectionError, EOFError)):
                    await say_words()
            writer.transport.abort()

    run(test)


@needs_openssl
def test_a_client_that_asks_for_a_key_by_a_finite_field_is_reset_before_that_is_computed() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server((LOOPBACK, 0)) as listening:
            listening.setblocking(False)
            connecting = asyncio.create_task(asyncio.open_connection(*listening.getsockname()))
            accepted, _ = await loop.sock_accept(listening)
            records, established = Records(), loop.create_future()
            echo = Echo(records, patient=True)
            tls = TlsProtocol(loop, echo, server_tls(), established, server_side=True, records=records)
            await loop.connect_accepted_socket(lambda: tls, accepted)
            reader, writer = await connecting
            writer.write(first_words("ffdhe8192"))
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            await established
            assert "_transport" not in vars(echo)
            writer.transport.abort()

    run(test)


@pytest.mark.parametrize("size", [1, 100, READ])
def test_what_has_been_read_of_a_connection_already_is_its_beginning(size: int) -> None:
    """As is what stands behind a load balancer's header."""

    async def test() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        # A handshake by hand: what its client says can be taken in two pieces.
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_tls().wrap_bio(to_client, to_server)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        hello = to_server.read()
        # A record's length says more than there is: it is waited for.
        begun = hello if size > len(hello) else hello[:size]
        records = Records()
        echo = Echo(records, patient=True)
        tls = TlsProtocol(
            loop,
            echo,
            server_tls(),
            loop.create_future(),
            server_side=True,
            records=records,
            received=begun,
        )
        await loop.connect_accepted_socket(lambda: tls, ours)
        await loop.sock_sendall(theirs, hello[len(begun) :])
        while True:
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                to_client.write(await loop.sock_recv(theirs, 65_536))
                continue
            break
        client.write(b"hello")
        await loop.sock_sendall(theirs, to_server.read())
        heard = b""
        while heard != b"hello":
            to_client.write(await loop.sock_recv(theirs, 65_536))
            with suppress(ssl.SSLWantReadError):
                heard += client.read(100)
        theirs.close()

    run(test)


class OneAnswer(asyncio.Protocol):
    """Answers the first word, closes, and has no use for what comes after it."""

    def __init__(self, *, pauses: bool) -> None:
        self._pauses = pauses
        self.closed = threading.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._pauses:
            self._transport.pause_reading()
        self._transport.write(b"answer")
        self._transport.close()
        self.closed.set()


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize(("more", "answered"), [(DISCARDED * 3 // 4, True), (DISCARDED * 20, False)])
def test_a_client_that_sends_on_after_the_server_has_closed_reads_its_answer_if_it_ends_soon(
    pauses: bool, more: int, answered: bool
) -> None:
    def send_then_read(address: tuple[str, int]) -> bytes:
        with (
            socket.create_connection(address, timeout=60) as plain,
            client_tls().wrap_socket(plain, server_hostname=LOOPBACK) as secure,
        ):
            secure.sendall(b"word")
            assert server.closed.wait(60)
            for _ in range(0, more, 1 << 16):
                secure.sendall(bytes(1 << 16))
                # A server that resets has the time to: a client reads an answer that came before.
                time.sleep(0.01)
            return b"".join(iter(lambda: secure.recv(100), b""))

    server = OneAnswer(pauses=pauses)

    async def test() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server((LOOPBACK, 0)) as listening:
            listening.setblocking(False)
            client = loop.run_in_executor(None, send_then_read, listening.getsockname())
            accepted, _ = await loop.sock_accept(listening)
            tls = TlsProtocol(
                loop,
                server,
                server_tls(),
                loop.create_future(),
                server_side=True,
                records=Records(),
            )
            await loop.connect_accepted_socket(lambda: tls, accepted)
            if answered:
                assert await client == b"answer"
            else:
                with pytest.raises(OSError):
                    await client

    run(test)
