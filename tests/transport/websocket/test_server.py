"""A server's connections and the tasks that serve them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from tests.transport.echo_server import echo_server
from tests.transport.harness import LOOPBACK, WebSocket, connection_tls, request, run, until

from hatchway.transport.listening.listener import Listener
from hatchway.transport.listening.sources import Sources
from hatchway.transport.websocket.connection import WebSocketConnection
from hatchway.transport.websocket.core_connection import CoreConnection
from hatchway.transport.websocket.server import Continuation, WebSocketServer


@contextmanager
def told_problems() -> Iterator[list[dict[str, Any]]]:
    """What the event loop is told of meanwhile."""
    loop, problems = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _loop, context: problems.append(context))
    yield problems
    loop.set_exception_handler(None)


def test_a_connection_is_pending_until_its_request_has_come_and_served_until_it_is_gone() -> None:
    async def test() -> None:
        async with echo_server() as server:
            assert len(server.clients) == 0
            client = await WebSocket.connect(server.port)
            await until(lambda: len(server.clients) == 1)
            assert server.listener.pending == 1
            client.writer.write(request())
            await client.reader.readuntil(b"\r\n\r\n")
            assert (server.listener.pending, len(server.clients)) == (0, 1)
            await client.close()
            await client.hung_up()
            await until(lambda: len(server.clients) == 0)

    run(test)


def test_a_client_that_sends_no_request_in_time_is_dropped() -> None:
    async def test() -> None:
        async with echo_server(request_deadline=0.1) as server:
            client = await WebSocket.connect(server.port)
            with pytest.raises((ConnectionError, EOFError)):
                await client.reader.readexactly(1)
            await until(lambda: not server.listener.pending and not len(server.clients))

    run(test)


def test_a_client_that_cannot_be_served_is_dropped_and_the_loop_is_told() -> None:
    def fail(_client: WebSocketConnection) -> None:
        raise RuntimeError("not today")

    async def test() -> None:
        with told_problems() as problems:
            async with echo_server(connected=fail) as server:
                with pytest.raises((ConnectionError, EOFError)):
                    await WebSocket.open(server.port)
                await until(lambda: not len(server.clients))
                assert [str(each["exception"]) for each in problems] == ["not today"]

    run(test)


@pytest.mark.parametrize("failing", ["begin", "take"])
def test_a_client_that_cannot_be_begun_with_is_dropped_once_and_the_loop_is_told(
    failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_client: WebSocketConnection, *_received: bytes) -> None:
        raise OSError("no memory for another")

    async def test() -> None:
        with told_problems() as problems:
            async with echo_server() as server:
                with monkeypatch.context() as patched:
                    patched.setattr(WebSocketConnection, failing, fail)
                    patched.setattr(CoreConnection, failing, fail)
                    with pytest.raises((ConnectionError, EOFError)):
                        await WebSocket.open(server.port)
                await until(lambda: not len(server.clients))
                assert server.listener.pending == 0
                assert [str(each["exception"]) for each in problems] == ["no memory for another"]
                await (await WebSocket.open(server.port)).close()

    run(test)


def test_a_task_that_is_cancelled_is_nobodys_fault() -> None:
    async def test() -> None:
        with told_problems() as problems:
            async with echo_server() as server:
                client = await WebSocket.open(server.port)
                for task in tuple(server.clients._tasks):
                    task.cancel()
                await until(lambda: not len(server.clients))
                client.vanish()
                assert not problems

    run(test)


MINE = ContextVar("MINE", default="none")


@asynccontextmanager
async def one_left_until(
    after: asyncio.Future[None], do: Callable[[WebSocketConnection], Coroutine[None, None, None]]
) -> AsyncIterator[tuple[WebSocketServer, WebSocket]]:
    """A server that serves its clients at once and leaves `do` to be done, and one client of it."""

    async def serve(client: WebSocketConnection, _address: str, _port: int) -> Continuation:
        assert MINE.get() == "none"
        MINE.set("its own")
        return Continuation(after, do, client)

    clients = WebSocketServer(serve, connection_tls)
    listener = Listener(clients.begin, Sources(asyncio.get_running_loop().time))
    listening = socket.create_server((LOOPBACK, 0))
    port = listening.getsockname()[1]
    await listener.start(listening)
    try:
        client = await WebSocket.connect(port)
        client.writer.write(request())
        await until(lambda: not listener.pending and not clients._tasks)
        yield clients, client
    finally:
        listener.stop()


def test_what_is_left_to_do_for_a_client_is_done_in_time_and_no_task_waits_for_it() -> None:
    async def test() -> None:
        after: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done: list[str] = []

        async def finish(client: WebSocketConnection) -> None:
            done.append(MINE.get())
            client.abort()

        async with one_left_until(after, finish) as (clients, client):
            assert len(clients) == 1
            assert not done
            after.set_result(None)
            await client.hung_up()
            await until(lambda: not len(clients))
        assert done == ["its own"]

    run(test)


def test_a_client_for_whom_that_cannot_be_done_is_dropped_and_the_loop_is_told() -> None:
    async def test() -> None:
        after: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def fail(_client: WebSocketConnection) -> None:
            raise RuntimeError("not today")

        with told_problems() as problems:
            async with one_left_until(after, fail) as (clients, client):
                after.set_result(None)
                await client.hung_up()
                await until(lambda: not len(clients))
            assert [str(each["exception"]) for each in problems] == ["not today"]

    run(test)
