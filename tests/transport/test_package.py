"""The example of the package's own page, and what a server of transport alone does with clients."""

import asyncio
import inspect
import socket
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from picows import WSMsgType
from tests.transport.echo_server import echo_server
from tests.transport.harness import (
    LOOPBACK,
    PING,
    PONG,
    TEXT,
    Closed,
    WebSocket,
    certificate,
    request,
    run,
    until,
)

import hatchway.transport
from hatchway.transport.connection.tcp import Hold
from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.server_tls import AES_128_FIRST, ServerTls
from hatchway.transport.websocket.close import PROTOCOL_ERROR, Closure
from hatchway.transport.websocket.frames import binary_header
from hatchway.transport.websocket.handshake import BadHandshake, render_answer, render_upgrade, websocket_key
from hatchway.transport.websocket.server import WebSocketServer


def example() -> dict[str, Any]:
    """The names that the code of the page defines, with what it uses at hand."""
    assert hatchway.transport.__doc__ is not None
    page = inspect.cleandoc(hatchway.transport.__doc__)
    code = textwrap.dedent(page[page.index("    class Echo") :])
    names: dict[str, Any] = {
        each.__name__: each
        for each in (
            asyncio,
            time,
            WSMsgType,
            BadHandshake,
            Closure,
            Hold,
            Listener,
            Sources,
            WebSocketServer,
            binary_header,
            render_answer,
            render_upgrade,
            websocket_key,
        )
    }
    exec(code, names)
    return names


def test_the_example_of_the_page_sends_every_message_back(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate())

    async def test() -> None:
        sock = socket.create_server((LOOPBACK, 0))
        port = sock.getsockname()[1]
        listener = await example()["start"](sock, ServerTls(pem, pem, AES_128_FIRST))
        client = await WebSocket.open(port)
        for size in (0, 5, 125, 126, 65_535, 100_000):
            await client.send(bytes(size))
            # Frames of more than 64 KiB have a length of eight bytes.
            if size < 1 << 16:
                assert await client.receive(size) == bytes(size)
            else:
                assert (await client.reader.readexactly(10))[1:] == b"\x7f" + size.to_bytes(8)
                assert await client.reader.readexactly(size) == bytes(size)
        await client.close()
        assert (await client.frame())[1] == (1000).to_bytes(2)
        await client.hung_up()
        refused = await WebSocket.connect(port)
        refused.writer.write(request(without="Upgrade"))
        assert (await refused.reader.readuntil(b"\r\n")) == b"HTTP/1.1 426 Upgrade Required\r\n"
        listener.stop()

    run(test)


def test_a_client_that_reads_nothing_is_not_read_from_and_loses_nothing() -> None:
    async def test() -> None:
        async with echo_server() as server:
            client = await WebSocket.open(server.port)
            sent = 0
            with pytest.raises(TimeoutError):
                while sent < 1 << 26:
                    async with asyncio.timeout(1):
                        await client.send(bytes(1 << 15))
                    sent += 1 << 15
            received = 0
            while received < sent:
                received += len((await client.frame())[1])
            assert received == sent

    run(test)


def test_pings_are_answered_and_faults_are_told_in_a_close_frame() -> None:
    async def test() -> None:
        async with echo_server() as server:
            client = await WebSocket.open(server.port)
            await client.send(b"there?", PING)
            assert await client.frame() == (PONG, b"there?")
            await client.send(b"unmasked", TEXT, key=None)
            with pytest.raises(Closed) as closed:
                async for _ in client.payloads():
                    raise AssertionError("nothing else is sent")
            assert (closed.value.code, closed.value.reason) == (PROTOCOL_ERROR.code, PROTOCOL_ERROR.reason)
            await client.hung_up()
            await until(lambda: not len(server.clients))

    run(test)
