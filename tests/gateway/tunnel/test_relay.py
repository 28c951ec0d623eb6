import asyncio
import gc
import hashlib
import random
import socket
import threading

import pytest
from structlog.testing import capture_logs
from tests.gateway.harness import Remembers, Says, echo, running_gateway, target
from tests.gateway.hostile_frames import Wire
from tests.transport.harness import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LOOPBACK,
    PING,
    PONG,
    TEXT,
    TIMEOUT,
    WebSocket,
    client_tls,
    frame,
    request,
    run,
    silent_port,
    until,
)

from hatchway.gateway.tunnel.closures import ACCESS_REVOKED
from hatchway.gateway.tunnel.relay import Relay
from hatchway.gateway.tunnel.target import Target
from hatchway.transport.websocket.connection import WebSocketConnection


@pytest.mark.parametrize("seed", range(4))
def test_bytes_come_back_exactly_whatever_their_chunks(seed: int) -> None:
    chance = random.Random(seed)
    sizes = [chance.choice((0, 1, 125, 126, 127, 4096, 65_000, 65_535, 65_536, 131_072)) for _ in range(60)]
    chunks = [chance.randbytes(size) for size in sizes]

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)

            async def send() -> None:
                for chunk in chunks:
                    await client.send(chunk, key=chance.randbytes(4))
                    if chance.random() < 0.2:
                        await asyncio.sleep(chance.random() / 100)

            sending = asyncio.create_task(send())
            sent = b"".join(chunks)
            received = await client.receive(len(sent))
            await sending
            assert hashlib.sha256(received).digest() == hashlib.sha256(sent).digest()
            await client.close()
            assert (await client.rest())[1].code == 1000
            end = await gateway.trail.end()
            assert (end.bytes_in, end.bytes_out, end.closure.code) == (len(sent), len(sent), 1000)

    run(test)


def test_what_a_target_sent_before_it_closed_arrives_before_the_close_frame() -> None:
    sent = random.Random(5).randbytes(3_000_000)

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    async def test() -> None:
        async with target(speak) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await asyncio.sleep(0.2)
            received, closed = await client.rest()
            assert received == sent
            assert (closed.code, closed.reason) == (1000, "")
            await client.hung_up()
            assert (await gateway.trail.end()).bytes_out == len(sent)

    run(test)


class Sink:
    """A target that reads everything, slowly at first, to the end, and then ends itself."""

    def __init__(self, pause: float = 0.0) -> None:
        self.received = bytearray()
        self.pause = pause
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.sleep(self.pause)
            while data := await reader.read(65536):
                self.received += data
            self.ended.set_result(True)  # A FIN, not a reset.
        except ConnectionError:
            self.ended.set_result(False)
        writer.close()


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("ending", ["close frame", "close frame and hang-up", "TLS farewell", "hang-up"])
def test_what_a_client_sent_before_it_left_reaches_the_target_and_then_a_fin(
    ending: str, pause: float
) -> None:
    sent = random.Random(7).randbytes(4_000_000)

    def client(port: int) -> None:
        plain = socket.create_connection((LOOPBACK, port))
        with client_tls().wrap_socket(plain) as tls:
            tls.sendall(request())
            tls.recv(4096)
            for at in range(0, len(sent), 65_000):
                tls.sendall(frame(BINARY, sent[at : at + 65_000]))
            if ending.startswith("close frame"):
                tls.sendall(frame(CLOSE, b"\x03\xe8"))
            if ending == "close frame":
                tls.settimeout(TIMEOUT)
                assert tls.recv(4) == b"\x88\x02\x03\xe8"
            elif ending == "TLS farewell":
                tls.unwrap()
            # Leaving without a farewell is what a killed client looks like.

    async def test() -> None:
        sink = Sink(pause)
        async with target(sink) as port, running_gateway(Says(port)) as gateway:
            await asyncio.to_thread(client, gateway.port)
            assert await asyncio.wait_for(sink.ended, TIMEOUT)
            assert hashlib.sha256(sink.received).digest() == hashlib.sha256(sent).digest()
            code = (await gateway.trail.end()).closure.code
            assert code == (1000 if ending.startswith("close frame") else 1006)

    run(test)


def test_a_burst_and_a_hang_up_seen_at_once_lose_nothing() -> None:
    sent = random.Random(9).randbytes(50_000)

    async def test() -> None:
        sink = Sink()
        async with target(sink) as port, running_gateway(Says(port)) as gateway:

            def client(left: threading.Event) -> None:
                plain = socket.create_connection((LOOPBACK, gateway.port))
                with client_tls().wrap_socket(plain) as tls:
                    tls.sendall(request())
                    tls.recv(4096)
                    tls.sendall(frame(BINARY, b"connected") + frame(PING))
                    tls.recv(4096)
                    asking.set()
                    stopped.wait()
                    for at in range(0, len(sent), 5_000):
                        tls.sendall(frame(BINARY, sent[at : at + 5_000]))
                left.set()

            asking, stopped, left = threading.Event(), threading.Event(), threading.Event()
            thread = threading.Thread(target=client, args=(left,))
            thread.start()
            await until(asking.is_set)
            stopped.set()
            # The gateway's event loop sees nothing until all is there.
            left.wait(TIMEOUT)
            thread.join()
            assert await asyncio.wait_for(sink.ended, TIMEOUT)
            assert sink.received == b"connected" + sent

    run(test)


def test_what_a_client_sends_before_the_target_is_connected_is_held_and_delivered() -> None:
    sent = random.Random(11).randbytes(500_000)

    async def test() -> None:
        sink = Sink()
        trail = Remembers(delay=0.5)
        async with target(sink) as port, running_gateway(Says(port), trail=trail) as gateway:
            client = await WebSocket.open(gateway.port)
            for at in range(0, len(sent), 50_000):
                client.writer.write(frame(BINARY, sent[at : at + 50_000]))
            client.writer.write(frame(CLOSE, b"\x03\xe8"))
            assert await asyncio.wait_for(sink.ended, TIMEOUT)
            assert sink.received == sent

    run(test)


def test_bytes_that_come_with_the_request_itself_are_not_lost() -> None:
    sent = random.Random(13).randbytes(100_000)

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request() + frame(BINARY, sent[:60_000]) + frame(BINARY, sent[60_000:]))
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            assert await client.receive(len(sent)) == sent

    run(test)


def test_a_target_that_stops_sending_still_gets_what_the_client_sends() -> None:
    received = bytearray()

    async def half_closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"bye")
        writer.write_eof()
        while data := await reader.read(65536):
            received.extend(data)

    async def test() -> None:
        async with target(half_closing) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            assert await client.receive(3) == b"bye"
            opcode, _ = await client.frame()
            assert opcode == CLOSE
            await client.send(b"late but not lost")
            await client.close()
            await client.hung_up()
            await gateway.trail.end()
            assert received == b"late but not lost"

    run(test)


def test_a_fragmented_message_is_relayed_as_its_frames_come() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"one", fin=False)
            assert await client.receive(3) == b"one"
            await client.send(b"two", CONTINUATION, fin=False)
            assert await client.receive(3) == b"two"
            await client.send(b"", PING)
            assert await client.frame() == (PONG, b"")
            await client.send(b"three", CONTINUATION)
            assert await client.receive(5) == b"three"

    run(test)


def test_a_ping_is_answered_with_its_own_payload() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"are you there?", PING)
            assert await client.frame() == (PONG, b"are you there?")

    run(test)


def test_nothing_of_a_tunnel_that_is_gone_waits_for_the_garbage_collector() -> None:
    def left() -> list[object]:
        return [each for each in gc.get_objects() if isinstance(each, Relay | Target | WebSocketConnection)]

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            gc.collect()
            gc.disable()
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            assert left()
            await client.close()
            await client.rest()
            client.vanish()
            await until(lambda: not left())

    try:
        run(test)
    finally:
        gc.enable()


def test_empty_frames_reach_nobody_and_change_nothing() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            client.writer.write(frame(BINARY) * 20_000)
            await client.send(b"still here")
            assert await client.receive(10) == b"still here"
            await client.close()
            assert (await gateway.trail.end()).bytes_in == 10

    run(test)


def test_a_reset_by_the_target_closes_the_tunnel() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.transport.abort()

    async def test() -> None:
        async with target(reset) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello, you there?")
            _, closed = await client.rest()
            assert closed.code == 1000
            await gateway.trail.end()
            await gateway.registry.wait_until_empty()

    run(test)


def test_what_cannot_happen_to_a_tunnel_drops_both_connections_and_is_logged_once() -> None:
    reset = asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(5))
        try:
            await reader.read()
        except ConnectionResetError:
            reset.set()

    async def test() -> None:
        async with target(notice) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            [(_, relay)] = gateway.registry
            with capture_logs() as logs:
                # That would be a fault of the gateway's own.
                relay.no_target()
                relay.no_target()
                await asyncio.wait_for(reset.wait(), TIMEOUT)
                with pytest.raises(ConnectionResetError):
                    await client.reader.read()
                await gateway.registry.wait_until_empty()
            failures = [entry["failure"] for entry in logs if entry["log_level"] == "error"]
            assert failures == ["no_target in open, open, carrying"]
            assert (await gateway.trail.end()).bytes_in == 5

    run(test)


def test_a_tunnel_of_which_something_cannot_be_done_is_dropped_and_recorded_nevertheless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of the gateway's own")

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"hello")
            assert await client.receive(5) == b"hello"
            with capture_logs() as logs:
                monkeypatch.setattr("hatchway.gateway.tunnel.target.Target.finish", fail)
                await client.close()
                await gateway.registry.wait_until_empty()
            (failure,) = [entry["failure"] for entry in logs if entry["log_level"] == "error"]
            assert "a fault of the gateway's own" in failure
            end = await gateway.trail.end()
            assert (end.bytes_in, end.closure.code) == (5, 1000)

    run(test)


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (frame(CLOSE, b"\x03\xe8"), 1000),
        (frame(PING), 1006),
        (frame(TEXT, b"no"), 1003),
        (frame(0x3), 1002),
    ],
    ids=["close", "ping", "text", "fault"],
)
def test_a_client_whose_tls_fails_right_behind_its_last_frame_has_its_tunnel_ended(
    last: bytes, code: int
) -> None:
    async def test() -> None:
        sink = Sink()
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: problems.append(problem))
        async with target(sink) as port, running_gateway(Says(port)) as gateway:
            wire = await asyncio.to_thread(Wire.open, (LOOPBACK, gateway.port), "/openTunnel")
            wire.write(frame(BINARY, b"hello") + last)
            wire.outgoing.write(b"no TLS at all")
            wire.flush()
            await gateway.registry.wait_until_empty()
            wire.sock.close()
            assert await asyncio.wait_for(sink.ended, TIMEOUT)
            assert sink.received == b"hello"
            end = await gateway.trail.end()
            assert (end.bytes_in, end.closure.code) == (5, code)
        assert not problems

    run(test)


def test_a_client_whose_tls_fails_right_behind_its_request_is_cut_as_any_other() -> None:
    def client(port: int) -> Wire:
        wire = Wire((LOOPBACK, port), client_tls())
        wire.shake_hands()
        wire.write(request())
        wire.outgoing.write(b"no TLS at all")
        wire.flush()
        return wire

    async def test() -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: problems.append(problem))
        with silent_port() as port:
            async with running_gateway(Says(port)) as gateway:
                wire = await asyncio.to_thread(client, gateway.port)
                await until(lambda: gateway.trail.tunnels)
                [(admitted, _)] = gateway.registry
                gateway.registry.cut(admitted.tunnel_id, ACCESS_REVOKED, {})
                await gateway.registry.wait_until_empty()
                wire.sock.close()
                assert (await gateway.trail.end()).closure == ACCESS_REVOKED
        assert not problems

    run(test)
