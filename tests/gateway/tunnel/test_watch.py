"""Tunnels on which nothing happens, and a certificate that changes under them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.gateway.harness import Remembers, Running, Says, echo, running_gateway, target
from tests.transport.harness import (
    BINARY,
    LOOPBACK,
    PING,
    PONG,
    WebSocket,
    certificate,
    client_tls,
    run,
    until,
)

from hatchway.gateway.tunnel.watch import Watch
from hatchway.pki import create_ca, issue_server_certificate
from hatchway.transport.server_tls import ServerTls


@asynccontextmanager
async def watching(gateway: Running, idle_limit: int | None = None, **times: float) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    watch = asyncio.create_task(
        Watch(gateway.registry, loop.time, idle_limit=idle_limit, interval=0.05, **times).run()
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
        async with (
            target(echo) as port,
            running_gateway(Says(port)) as gateway,
            watching(gateway, idle_limit=1),
        ):
            client = await WebSocket.open(gateway.port)
            for _ in range(15):
                assert await echoes(client)
                await asyncio.sleep(0.1)

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


def pem(name: str) -> bytes:
    now = datetime.now(UTC)
    pair = issue_server_certificate(create_ca("test", [name], now), [name], now)
    return pair.certificate + pair.key


async def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=client_tls())
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return bytes(certificate)


def der(pem_file: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem_file[: pem_file.index(b"-----END CERTIFICATE-----") + 26].decode())


def test_a_new_certificate_is_shown_to_new_connections_and_open_tunnels_go_on(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    first, second = certificate(), pem("localhost")

    def replace(content: bytes) -> None:
        (tmp_path / "new.pem").write_bytes(content)
        (tmp_path / "new.pem").replace(path)

    async def test() -> None:
        replace(first)
        tls = ServerTls(path, path)
        options: dict[str, Any] = {"tls": lambda: tls.context}
        async with target(echo) as port, running_gateway(Says(port), **options) as gateway:
            following = asyncio.create_task(tls.follow(interval=0.02))
            client = await WebSocket.open(gateway.port)
            assert await shown(gateway.port) == der(first)

            before = tls.context
            replace(second)
            await until(lambda: tls.context is not before)
            assert await shown(gateway.port) == der(second)
            assert await echoes(client)

            # One that cannot be read leaves what is there.
            before = tls.context
            replace(b"no certificate")
            await asyncio.sleep(0.2)
            path.unlink()
            await asyncio.sleep(0.2)
            assert tls.context is before
            assert await shown(gateway.port) == der(second)
            replace(first)
            await until(lambda: tls.context is not before)
            assert await shown(gateway.port) == der(first)
            following.cancel()

    run(test)


def test_a_certificate_and_a_key_in_files_of_their_own_may_change_one_after_the_other(tmp_path: Path) -> None:
    certificate_file, key_file = tmp_path / "cert.pem", tmp_path / "key.pem"

    def parts(pair: bytes) -> tuple[bytes, bytes]:
        end = pair.rindex(b"-----BEGIN ")
        return pair[:end], pair[end:]

    async def test() -> None:
        for path, content in zip((certificate_file, key_file), parts(certificate()), strict=True):
            path.write_bytes(content)
        tls = ServerTls(certificate_file, key_file)
        following = asyncio.create_task(tls.follow(interval=0.02))
        before = tls.context
        new_certificate, new_key = parts(pem("localhost"))
        certificate_file.write_bytes(new_certificate)
        await asyncio.sleep(0.2)
        assert tls.context is before
        key_file.write_bytes(new_key)
        await until(lambda: tls.context is not before)
        following.cancel()

    run(test)
