"""Tunnels on which nothing happens: pings, dead peers, the idle limit."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.gateway.harness import Remembers, Running, Says, echo, running_gateway, target
from tests.transport.harness import (
    BINARY,
    PING,
    PONG,
    Clock,
    WebSocket,
    run,
)

from hatchway.gateway.tunnel.liveness import LivenessCheck


@asynccontextmanager
async def watching(gateway: Running, idle_limit: int | None = None, **times: float) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    watch = asyncio.create_task(
        LivenessCheck(gateway.registry, loop.time, idle_limit=idle_limit, interval=0.05, **times).run()
    )
    try:
        yield
    finally:
        watch.cancel()


async def echoes(client: WebSocket) -> bool:
    await client.send(b"hello")
    return await client.receive(5) == b"hello"


def test_an_idle_client_is_pinged_again_and_again_and_its_tunnel_stays() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            async with watching(gateway, ping_after=0.1):
                client = await WebSocket.open(gateway.port)
                for _ in range(3):
                    assert await client.frame() == (PING, b"")
                    await client.send(b"", PONG)
            assert await echoes(client)

    run(test)


def test_a_busy_client_is_not_pinged() -> None:
    async def test() -> None:
        async with (
            target(echo) as port,
            running_gateway(Says(port)) as gateway,
            watching(gateway, ping_after=5),
        ):
            client = await WebSocket.open(gateway.port)
            for _ in range(20):
                await client.send(b"hello")
                assert await client.frame() == (BINARY, b"hello")
                await asyncio.sleep(0.02)

    run(test)


def test_a_tunnel_without_a_byte_is_closed_at_the_idle_limit() -> None:
    async def test() -> None:
        trail = Remembers()
        async with (
            target(echo) as port,
            running_gateway(Says(port), trail=trail) as gateway,
            watching(gateway, idle_limit=1),
        ):
            client = await WebSocket.open(gateway.port)
            assert await echoes(client)

            async def say_nothing() -> None:
                # As the AWS CLI does when its standard input has ended.
                while True:
                    await client.send(b"")
                    await asyncio.sleep(0.01)

            saying = asyncio.create_task(say_nothing())
            _, closed = await client.rest()
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)
            assert (closed.code, closed.reason) == (4002, "Tunnel idle for 1 seconds")
            assert (await trail.end()).closure.code == 4002

    run(test)


def test_a_tunnel_that_carries_bytes_is_not_idle() -> None:
    async def test() -> None:
        clock = Clock()
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            watch = LivenessCheck(gateway.registry, clock, idle_limit=10)
            client = await WebSocket.open(gateway.port)
            for _ in range(15):
                assert await echoes(client)
                clock.now += 9
                await watch.look()
            clock.now += 10
            await watch.look()
            assert (await client.rest())[1].code == 4002

    run(test)


def test_a_client_that_does_not_read_is_not_dead() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(bytes(100_000))
            await writer.drain()

    async def test() -> None:
        async with (
            target(flood) as port,
            running_gateway(Says(port)) as gateway,
            watching(gateway, ping_after=0.1, dead_after=0.3),
        ):
            client = await WebSocket.open(gateway.port)
            await client.frame()
            ((_, relay),) = gateway.registry
            carried = -1
            while carried != relay.bytes_out:
                carried = relay.bytes_out
                await asyncio.sleep(0.5)
            await asyncio.sleep(2)
            assert relay.closure is None
            assert relay.unanswered == 0

    run(test)
