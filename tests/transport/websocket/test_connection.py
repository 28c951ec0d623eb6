"""A WebSocket connection from its request to its end, against a client that does as it likes."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from tests.transport.echo_server import Running, echo_server
from tests.transport.harness import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    WebSocket,
    frame,
    request,
    run,
    until,
)

from hatchway.transport.connection.allowance import WASTE_BURST
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.websocket.close import PROTOCOL_ERROR, TOO_MUCH_WASTE, Closure
from hatchway.transport.websocket.connection import MOST_PONGS, WebSocketConnection
from hatchway.transport.websocket.frames import MAX_FRAME
from hatchway.transport.websocket.handshake import MAX_HEAD


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Running, list[WebSocketConnection]]]:
    """A server, and its connections as they come."""
    made: list[WebSocketConnection] = []
    async with echo_server(connected=made.append) as server:
        yield server, made


async def answer_to(*pieces: bytes) -> bytes:
    """The first line of what a server says to a request in these pieces."""
    async with echo_server() as server:
        client = await WebSocket.connect(server.port)
        for piece in pieces:
            client.writer.write(piece)
            await asyncio.sleep(0.01)
        return await client.reader.readuntil(b"\r\n")


@pytest.mark.parametrize("whole", [b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD, request(X="y" * MAX_HEAD)])
def test_a_request_that_is_too_long_is_refused(whole: bytes) -> None:
    assert run(lambda: answer_to(whole)) == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


def test_a_request_that_is_no_http_is_refused() -> None:
    assert run(lambda: answer_to(b"SSH-2.0-", b"client\r\n\r\n")) == b"HTTP/1.1 400 Bad Request\r\n"


def test_a_client_that_leaves_before_its_request_is_whole_has_made_none() -> None:
    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.connect(server.port)
            client.writer.write(request()[:20])
            await until(lambda: len(server.clients) == 1)
            client.vanish()
            await until(lambda: not len(server.clients))
            assert (server.listener.pending, made) == (0, [])

    run(test)


def test_frames_that_came_with_the_request_come_back_too() -> None:
    async def test() -> None:
        async with echo_server() as server:
            client = await WebSocket.connect(server.port)
            client.writer.write(request() + frame(BINARY, b"early ") + frame(BINARY, b"late")[:5])
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            assert await client.receive(6) == b"early "
            client.writer.write(frame(BINARY, b"late")[5:])
            assert await client.receive(4) == b"late"

    run(test)


def test_of_many_pings_at_once_the_latest_are_answered_ahead_of_all_that_is_sent_later() -> None:
    async def test() -> None:
        async with echo_server() as server:
            client = await WebSocket.open(server.port)
            pings = [b"%d" % number for number in range(MOST_PONGS + 2)]
            client.writer.write(b"".join(frame(PING, ping) for ping in pings) + frame(BINARY, b"data"))
            answers = [await client.frame() for _ in range(3)]
            assert answers == [(PONG, pings[-2]), (PONG, pings[-1]), (BINARY, b"data")]

    run(test)


def test_a_server_may_ping_and_send_text() -> None:
    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.open(server.port)
            made[0].send_ping()
            assert await client.frame() == (PING, b"")
            made[0].send_text(b"end")
            assert await client.frame() == (TEXT, b"end")

    run(test)


def test_a_close_frame_has_its_reason_and_note_and_pongs_that_are_due_go_first() -> None:
    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.open(server.port)
            made[0].answer(b"due")
            made[0].send_close(Closure(1001, "Going"))
            assert await client.frame() == (PONG, b"due")
            assert await client.frame() == (CLOSE, b"\x03\xe9Going (request id 7)")
            # It reads on, for the answer.
            await client.close(1001)
            await client.hung_up()
            await until(lambda: not len(server.clients))

    run(test)


def test_a_close_frame_has_the_explanation_that_was_given_before_it() -> None:
    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.open(server.port)
            made[0].explain("until noon")
            made[0].send_close(Closure(1001, "Going"))
            assert await client.frame() == (CLOSE, b"\x03\xe9Going (until noon; request id 7)")
            await client.close(1001)
            await client.hung_up()

    run(test)


def test_a_client_that_does_not_answer_a_close_frame_is_told_of_once_it_has_acknowledged_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hatchway.transport.websocket.connection.CLOSE_TIMEOUT", 0.3)

    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.open(server.port)
            made[0].send_close(Closure(1001))
            assert await client.frame() == (CLOSE, b"\x03\xe9")
            # Its handler hangs up, and this client takes the end of TLS as it should.
            await client.hung_up()
            await until(lambda: not len(server.clients))
            # One that has gone meanwhile is not waited for.
            gone = await WebSocket.open(server.port)
            gone.vanish()
            await until(lambda: made[1].is_gone)
            made[1].send_close(Closure(1001))
            await until(lambda: not len(server.clients))

    run(test)


def test_faults_of_frames_are_told_with_the_code_that_they_call_for() -> None:
    async def test() -> None:
        async with echo_server() as server:
            for wrong, code, reason in (
                (frame(3), 1002, PROTOCOL_ERROR.reason),
                (
                    struct.pack(">BBQ4x", 0x82, 0xFF, MAX_FRAME + 1),
                    1009,
                    f"A frame may carry at most {MAX_FRAME} bytes",
                ),
            ):
                client = await WebSocket.open(server.port)
                client.writer.write(wrong)
                _, closed = await client.rest()
                assert (closed.code, closed.reason) == (code, reason)
                await client.hung_up()

    run(test)


def test_a_client_that_sends_too_much_that_carries_nothing_is_told_so() -> None:
    async def test() -> None:
        async with served() as (server, made):
            client = await WebSocket.open(server.port)
            made[0].waste = int(WASTE_BURST) + 100
            await client.send(b"x")
            _, closed = await client.rest()
            assert (closed.code, closed.reason) == (TOO_MUCH_WASTE.code, TOO_MUCH_WASTE.reason)

    run(test)


def test_before_the_upgrade_such_a_client_is_dropped() -> None:
    async def test() -> None:
        async with echo_server(connected=WebSocketConnection.on_waste) as server:
            client = await WebSocket.connect(server.port)
            client.writer.write(request())
            with suppress(ConnectionError):
                assert await client.reader.read() == b""
            await until(lambda: not len(server.clients))

    run(test)


def test_its_handler_is_told_when_the_client_takes_no_more_and_when_it_does_again() -> None:
    async def test() -> None:
        async with served() as (server, made):
            # The kernel may keep up to tcp_rmem's 32 MiB for one who reads too little.
            client = await WebSocket.open(server.port, receive_buffer=65_536)
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it reads, too
            for _ in range(200):
                client.writer.write(frame(BINARY, bytes(60_000)))
            await until(lambda: made[0].is_full)
            assert made[0]._holds & Hold.BACKLOG
            # No pong for one who does not read: it is answered when the rest has gone.
            made[0].answer(b"late")
            await asyncio.sleep(0.05)
            assert made[0]._pongs is not None
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            kinds = set()
            for _ in range(201):
                kinds.add((await client.frame())[0])
            assert kinds == {BINARY, PONG}
            assert not made[0].is_full

    run(test)


def test_without_a_handler_nothing_that_happens_is_told_to_anybody() -> None:
    def before_the_upgrade(connection: WebSocketConnection) -> None:
        # These are only a connection's then.
        connection.on_full()
        connection.on_ready()
        connection.trust()

    async def test() -> None:
        async with echo_server(connected=before_the_upgrade) as server:
            client = await WebSocket.connect(server.port)
            client.writer.write(request(without="Upgrade"))
            assert (await client.reader.read()).startswith(b"HTTP/1.1 426 ")

    run(test)


def test_what_a_client_with_a_bad_request_sends_on_is_thrown_away() -> None:
    kept: list[bytes] = []

    def send_on(connection: WebSocketConnection) -> None:
        before = len(connection._received)
        connection.room()[:4] = b"more"
        connection.on_decrypted(4)
        kept.append(bytes(connection._received[before:]))

    async def test() -> None:
        async with echo_server(connected=send_on) as server:
            client = await WebSocket.connect(server.port)
            client.writer.write(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD)
            assert (await client.reader.read()).startswith(b"HTTP/1.1 431 ")
            assert kept == [b""]

    run(test)
