"""Tunnels whose two directions end one by one, for clients that offer the subprotocol."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.gateway.harness import Remembers, Running, Says, running_gateway, target
from tests.transport.harness import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    TIMEOUT,
    Clock,
    WebSocket,
    request,
    run,
    until,
)

from hatchway.domain.tunnel_protocol import END_OF_DATA, HALF_CLOSE
from hatchway.gateway.tunnel.liveness import LivenessCheck


async def opened(gateway: Running, offered: str = HALF_CLOSE) -> WebSocket:
    client = await WebSocket.connect(gateway.port)
    client.writer.write(request(Sec_WebSocket_Protocol=offered))
    client.answer = await client.reader.readuntil(b"\r\n\r\n")
    assert client.answer.startswith(b"HTTP/1.1 101 ")
    return client


async def counts_to_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A host that answers only when nothing more comes."""
    writer.write(b"%d bytes" % len(await reader.read()))
    writer.close()


async def quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()
    await asyncio.Event().wait()


@pytest.mark.parametrize("delay", [0.0, 0.2])
def test_a_target_learns_that_the_client_has_ended_and_its_answer_arrives(delay: float) -> None:
    sent = random.Random(3).randbytes(1_000_000)

    async def test() -> None:
        trail = Remembers(delay=delay)
        async with (
            target(counts_to_the_end) as port,
            running_gateway(Says(port), trail=trail) as gateway,
        ):
            client = await opened(gateway)
            for at in range(0, len(sent), 65_000):
                await client.send(sent[at : at + 65_000])
            await client.send(END_OF_DATA, TEXT)
            received, closed = await client.rest()
            assert (received, closed.code) == (b"1000000 bytes", 1000)
            await client.hung_up()
            end = await gateway.trail.end()
            assert (end.bytes_in, end.bytes_out, end.closure.code) == (len(sent), 13, 1000)

    run(test)


def test_a_client_is_told_that_its_target_has_ended_and_can_still_send() -> None:
    came: list[bytes] = []

    async def ends_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"over")
        writer.write_eof()
        came.append(await reader.read())
        writer.close()

    async def test() -> None:
        async with target(ends_first) as port, running_gateway(Says(port)) as gateway:
            client = await opened(gateway)
            assert await client.frame() == (BINARY, b"over")
            assert await client.frame() == (TEXT, END_OF_DATA)
            await client.send(b"still there?", PING)
            assert await client.frame() == (PONG, b"still there?")
            await client.send(b"to the last")
            await client.send(END_OF_DATA, TEXT)
            assert (await client.rest())[1].code == 1000
            await until(lambda: came)
            assert came == [b"to the last"]
            assert (await gateway.trail.end()).closure.code == 1000

    run(test)


def test_the_answer_to_a_client_that_offers_nothing_of_the_kind_is_as_ever() -> None:
    async def test() -> None:
        async with target(quiet) as port, running_gateway(Says(port)) as gateway:
            plain = await WebSocket.open(gateway.port)
            for offered in ("chat", HALF_CLOSE.upper(), f"{HALF_CLOSE}s"):
                other = await opened(gateway, offered)
                assert other.answer.split(b"x-amzn")[0] == plain.answer.split(b"x-amzn")[0]
            taken = await opened(gateway, f"chat, {HALF_CLOSE}")
            assert f"\r\nSec-WebSocket-Protocol: {HALF_CLOSE}\r\n".encode() in taken.answer

    run(test)


FAULTS = {
    "data after the end": ([(TEXT, END_OF_DATA, True), (BINARY, b"more", True)], 1002),
    "nothing, as data, after the end": ([(TEXT, END_OF_DATA, True), (BINARY, b"", True)], 1002),
    "a second end": ([(TEXT, END_OF_DATA, True), (TEXT, END_OF_DATA, True)], 1002),
    "an end within a message": ([(BINARY, b"a", False), (TEXT, END_OF_DATA, True)], 1002),
    "an end in pieces": ([(TEXT, END_OF_DATA[:1], False), (CONTINUATION, END_OF_DATA[1:], True)], 1003),
    "another text": ([(TEXT, b"END", True)], 1003),
    "no text": ([(TEXT, b"", True)], 1003),
}


@pytest.mark.parametrize(("frames", "code"), FAULTS.values(), ids=FAULTS)
def test_a_client_that_ends_otherwise_than_it_may_is_closed(
    frames: list[tuple[int, bytes, bool]], code: int
) -> None:
    async def test() -> None:
        async with target(quiet) as port, running_gateway(Says(port)) as gateway:
            client = await opened(gateway)
            for opcode, payload, whole in frames:
                await client.send(payload, opcode, fin=whole)
            assert (await client.rest())[1].code == code
            assert (await gateway.trail.end()).closure.code == code

    run(test)


def test_an_end_that_was_not_agreed_on_is_text_like_any_other() -> None:
    async def test() -> None:
        async with target(quiet) as port, running_gateway(Says(port)) as gateway:
            client = await WebSocket.open(gateway.port)
            await client.send(END_OF_DATA, TEXT)
            assert (await client.rest())[1].code == 1003

    run(test)


@pytest.mark.parametrize("first", ["client", "target"])
def test_a_tunnel_that_is_half_closed_lasts_no_longer_than_it_may(
    first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hatchway.gateway.tunnel.target.LINGER", 0.5)

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first == "target":
            writer.write_eof()
        await quiet(reader, writer)

    async def test() -> None:
        async with target(half) as port, running_gateway(Says(port, duration=1)) as gateway:
            client = await opened(gateway)
            if first == "client":
                await client.send(END_OF_DATA, TEXT)
            assert (await client.rest())[1].code == 4001
            # Neither side does anything: it is gone all the same.
            await asyncio.wait_for(gateway.registry.wait_until_empty(), TIMEOUT)

    run(test)


@pytest.mark.parametrize("first", ["client", "target"])
def test_a_tunnel_that_is_half_closed_is_pinged_and_ends_when_it_is_idle(first: str) -> None:
    clock = Clock()

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if first == "target":
            writer.write_eof()
        await quiet(reader, writer)

    async def test() -> None:
        async with target(half) as port, running_gateway(Says(port)) as gateway:
            client = await opened(gateway)
            if first == "client":
                await client.send(END_OF_DATA, TEXT)
                await client.send(b"", PING)
                assert (await client.frame())[0] == PONG
            else:
                assert await client.frame() == (TEXT, END_OF_DATA)
            check = LivenessCheck(gateway.registry, clock, idle_limit=60)
            await check.look()
            clock.now += 30
            await check.look()
            assert (await client.frame())[0] == PING
            clock.now += 31
            await check.look()
            assert (await client.rest())[1].code == 4002

    run(test)


def test_a_client_that_vanishes_after_its_end_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with target(quiet) as port, running_gateway(Says(port)) as gateway:
            client = await opened(gateway)
            await client.send(END_OF_DATA, TEXT)
            client.vanish()
            assert (await gateway.trail.end()).closure.code == 1006
            ((_, relay),) = gateway.registry
            # It has had its end, and does not end itself: it gets no more time than any other.
            relay.target_overdue()
            await asyncio.wait_for(gateway.registry.wait_until_empty(), TIMEOUT)

    run(test)
