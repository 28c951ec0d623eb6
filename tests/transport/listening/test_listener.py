"""A listener whose place another takes."""

import asyncio
import socket

import pytest
from tests.gateway.harness import (
    LOOPBACK,
    Says,
    WebSocket,
    client_tls,
    echo,
    request,
    run,
    running_gateway,
    target,
)


def test_one_that_retires_serves_all_who_wait_in_its_queue_and_nobody_else() -> None:
    async def test() -> None:
        async with target(echo) as port, running_gateway(Says(port)) as gateway:
            # The event loop that would accept them does not run meanwhile.
            waiting = [socket.create_connection((LOOPBACK, gateway.port)) for _ in range(40)]
            gateway.listener.retire()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, gateway.port))
            for sock in waiting:
                client = WebSocket(
                    *await asyncio.open_connection(sock=sock, ssl=client_tls(), server_hostname=LOOPBACK)
                )
                client.writer.write(request())
                assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"
                client.vanish()

    run(test)


def test_who_comes_when_one_has_retired_is_served_by_the_other_at_the_same_socket() -> None:
    async def test() -> None:
        async with target(echo) as port:
            sock = socket.create_server((LOOPBACK, 0))
            async with (
                running_gateway(Says(port), sock=sock.dup()) as old,
                running_gateway(Says(port), sock=sock) as new,
            ):
                opened = [await WebSocket.open(new.port) for _ in range(5)]
                old.listener.retire()
                before = len(new.trail.tunnels)
                opened += [await WebSocket.open(new.port) for _ in range(10)]
                assert len(new.trail.tunnels) == before + 10
                for client in opened:
                    await client.send(b"hello")
                    assert await client.receive(5) == b"hello"
                    client.vanish()

    run(test)
