"""What clients send that they should not: the gateway neither dies nor grows."""

import asyncio
import json
import os
import random
import socket
import struct

import pytest
from tests.gateway.harness import Running, Says, echo, running_gateway, target
from tests.transport.harness import (
    BINARY,
    CLOSE,
    CONTINUATION,
    LOOPBACK,
    PING,
    PONG,
    TEXT,
    WebSocket,
    client_tls,
    frame,
    request,
    run,
    until,
)


async def still_works(gateway: Running) -> None:
    client = await WebSocket.open(gateway.port)
    await client.send(b"alive")
    assert await client.receive(5) == b"alive"
    await client.close()
    await client.rest()


async def nobody_pending(gateway: Running) -> None:
    await until(lambda: not gateway.listener.pending)


VIOLATIONS = {
    "a text frame": (frame(TEXT, b"hello"), 1003),
    "an unmasked frame": (frame(BINARY, b"hello", key=None), 1002),
    "a reserved opcode": (frame(0x3, b"hello"), 1002),
    "a reserved control opcode": (frame(0xB), 1002),
    "reserved bit 1": (frame(BINARY, b"hello", rsv=4), 1002),
    "reserved bit 2": (frame(BINARY, b"hello", rsv=2), 1002),
    "reserved bit 3": (frame(BINARY, b"hello", rsv=1), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"hello"), 1002),
    "a message within a message": (frame(BINARY, b"one", fin=False) + frame(BINARY, b"two"), 1002),
    "a fragmented ping": (frame(PING, b"x", fin=False), 1002),
    "a ping of 126 bytes": (frame(PING, bytes(126)), 1002),
    "a frame too large": (frame(BINARY, bytes(1_000_000)), 1009),
    "a frame said to be of 2^62 bytes": (struct.pack(">BBQ", 0x82, 0xFF, 1 << 62), 1009),
    "a frame said to be of 2^63 bytes": (struct.pack(">BBQ", 0x82, 0xFF, 1 << 63), 1002),
    "a length written longer than needed": (struct.pack(">BBH", 0x82, 0xFE, 5) + bytes(9), 1002),
    "a close frame of one byte": (frame(CLOSE, b"\x03"), 1002),
    "a close frame with code 0": (frame(CLOSE, b"\x00\x00"), 1002),
    "a close frame with code 1005": (frame(CLOSE, struct.pack(">H", 1005)), 1002),
    "a close frame with code 1006": (frame(CLOSE, struct.pack(">H", 1006)), 1002),
    "a close frame with code 5000": (frame(CLOSE, struct.pack(">H", 5000)), 1002),
    "a close reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff\xfe"), 1007),
}


@pytest.mark.parametrize("violation", VIOLATIONS)
def test_a_violation_of_the_protocol_ends_the_tunnel_with_its_code(violation: str) -> None:
    sent, code = VIOLATIONS[violation]

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            client.writer.write(sent)
            _, closed = await client.rest()
            assert closed.code == code
            await client.hung_up()
            assert (await gateway.trail.end()).closure.code == code
            gateway.trail.tunnels.clear()
            await still_works(gateway)

    run(test)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_a_close_frame_is_answered_with_its_own_code(code: int) -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.close(code)
            assert (await client.rest())[1].code == code

    run(test)


def test_a_close_frame_without_a_code_is_answered() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(b"", CLOSE)
            assert (await client.rest())[1].code == 1000

    run(test)


WRONG = frame(BINARY, b"hello", rsv=4)


@pytest.mark.parametrize(
    "rest", [frame(CLOSE, b"\x03\xe8"), WRONG], ids=["another close frame", "a violation"]
)
def test_what_follows_a_close_frame_changes_nothing(rest: bytes) -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            client.writer.write(frame(CLOSE, b"\x0b\xb8done") + rest)
            assert (await client.rest())[1].code == 3000
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


def test_a_ping_is_answered_although_a_violation_follows_it_at_once() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            client.writer.write(frame(PING, b"first") + WRONG)
            assert await client.frame() == (PONG, b"first")
            assert (await client.rest())[1].code == 1002

    run(test)


@pytest.mark.parametrize("seed", range(3))
def test_noise_instead_of_frames_ends_the_tunnel(seed: int) -> None:
    chance = random.Random(seed)

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            for _ in range(30):
                client = await WebSocket.open(gateway.port)
                client.writer.write(chance.randbytes(chance.choice((1, 10, 1000, 100_000))))
                if chance.random() < 0.5:
                    await asyncio.sleep(0.002)
                client.vanish()
            await gateway.registry.wait_until_empty()
            assert all(end is not None for end in gateway.trail.tunnels.values())
            gateway.trail.tunnels.clear()
            await still_works(gateway)

    run(test)


HEADS = {
    "another path": (request("/"), 404),
    "a path that begins alike": (request("/openTunnelX"), 404),
    "no upgrade": (request(without="Upgrade"), 426),
    "no connection header": (request(without="Connection"), 426),
    "another version": (request(Sec_WebSocket_Version="8"), 426),
    "no key": (request(without="Sec-WebSocket-Key"), 400),
    "a short key": (request(Sec_WebSocket_Key="AAAA"), 400),
    "another method": (request().replace(b"GET", b"POST", 1), 400),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0", 1), 400),
    "a body": (request(Content_Length="5"), 400),
    "chunks": (request(Transfer_Encoding="chunked"), 400),
    "a header without a colon": (b"GET /openTunnel HTTP/1.1\r\nHost\r\n\r\n", 400),
    "a folded header": (b"GET /openTunnel HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400),
    "129 headers": (request(**{f"X-{n}": "" for n in range(129)}), 400),
    "noise": (b"\x00\xff\xfe\r\n\r\n", 400),
    "headers beyond 16 KiB": (request(X_Large="a" * 17_000), 431),
    "1 MB of headers": (request(X_Large="a" * 1_000_000), 431),
    "1 MB without an end": (b"GET /" + b"a" * 1_000_000, 431),
}


@pytest.mark.parametrize("head", HEADS)
def test_a_bad_request_gets_its_status_in_json(head: str) -> None:
    sent, status = HEADS[head]

    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(sent)
            answer = await client.reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert b"Content-Type: application/json" in answer
            assert b"x-amzn-requestid: id-" in answer
            body = json.loads(await client.reader.read(65536))
            assert set(body) == {"ErrorCode", "Message", "RequestId"}
            assert b"x-amzn-requestid: " + body["RequestId"].encode() + b"\r\n" in answer
            await client.hung_up()
            await still_works(gateway)

    run(test)


def test_a_connection_header_of_several_options_upgrades() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(request(Connection="keep-alive, Upgrade"))
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    run(test)


@pytest.mark.parametrize(
    "said", [b"", b"GET /openTunnel HT", b"\x16\x03\x01\x02\x00\x01"], ids=["nothing", "half", "TLS"]
)
def test_whoever_does_not_finish_a_request_is_hung_up_on(said: bytes) -> None:
    async def test() -> None:
        # Within it a busy machine opens a tunnel.
        async with target(echo) as port, running_gateway(Says(port), request_deadline=1.5) as gateway:
            client = await WebSocket.connect(gateway.port)
            client.writer.write(said)
            await client.hung_up()
            await nobody_pending(gateway)
            await still_works(gateway)

    run(test)


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(1000), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ids=["nothing", "plain HTTP", "noise", "half a ClientHello"],
)
def test_whoever_does_not_finish_tls_is_hung_up_on(said: bytes) -> None:
    async def test() -> None:
        # Within it a busy machine opens a tunnel.
        async with target(echo) as port, running_gateway(Says(port), request_deadline=1.5) as gateway:
            reader, writer = await asyncio.open_connection(LOOPBACK, gateway.port)
            writer.write(said)
            client = WebSocket(reader, writer)
            await client.hung_up()
            await nobody_pending(gateway)
            await still_works(gateway)

    run(test)


def test_only_so_many_may_be_about_to_send_a_request() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port), max_pending=8) as gateway:
            # A quarter of the room is for those who have opened a tunnel before.
            loiterers = [await WebSocket.connect(gateway.port) for _ in range(6)]
            with pytest.raises(OSError):
                await asyncio.open_connection(LOOPBACK, gateway.port, ssl=client_tls())
            for loiterer in loiterers:
                loiterer.vanish()
            await nobody_pending(gateway)
            await still_works(gateway)

    run(test)


def test_a_client_that_resets_the_connection_at_any_moment_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            script = request() + frame(BINARY, bytes(1000)) * 20
            for cut in range(0, len(script), len(script) // 40):
                client = await WebSocket.connect(gateway.port)
                client.writer.write(script[:cut])
                await client.writer.drain()
                sock = client.writer.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.vanish()
            await nobody_pending(gateway)
            await gateway.registry.wait_until_empty()
            gateway.trail.tunnels.clear()
            await still_works(gateway)

    run(test)
