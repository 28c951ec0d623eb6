"""A listener whose place another takes."""

import asyncio
import socket

import pytest
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, WebSocket, client_tls, request, run


def test_one_that_retires_serves_all_who_wait_in_its_queue_and_nobody_else() -> None:
    async def test() -> None:
        async with echo_server() as server:
            # The event loop that would accept them does not run meanwhile.
            waiting = [socket.create_connection((LOOPBACK, server.port)) for _ in range(40)]
            server.listener.retire()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, server.port))
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
        sock = socket.create_server((LOOPBACK, 0))
        async with echo_server(sock=sock.dup()) as old, echo_server(sock=sock) as new:
            opened = [await WebSocket.open(new.port) for _ in range(5)]
            old.listener.retire()
            before = len(new.addresses)
            opened += [await WebSocket.open(new.port) for _ in range(10)]
            assert len(new.addresses) == before + 10
            for client in opened:
                await client.send(b"hello")
                assert await client.receive(5) == b"hello"
                client.vanish()

    run(test)
