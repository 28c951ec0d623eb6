"""The event loop that waits by the core's poller."""

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from tests.transport.compiled import needs_core

from hatchway.transport.core.event_loop import CoreLoop, new_event_loop
from hatchway.transport.core.loading import CORE

pytestmark = needs_core


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(bounded())


def test_streams_threads_timers_and_signals_work_as_on_any_loop() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1 << 20))
        await writer.drain()
        writer.close()

    async def test() -> None:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(bytes(1 << 20))
        assert len(await reader.read()) == 1 << 20
        writer.close()
        server.close()
        assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()
        told = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, told.set_result, "told")
        loop.call_later(0.001, signal.raise_signal, signal.SIGUSR1)
        assert await told == "told"

    run(test)


def test_a_timer_is_not_before_its_time() -> None:
    async def test() -> None:
        start = time.monotonic()
        await asyncio.sleep(0.0101)
        assert time.monotonic() - start >= 0.0101

    run(test)


def test_a_descriptor_is_watched_once_and_may_be_closed_before_it_is_forgotten() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        one, other = socket.socketpair()
        called = loop.create_future()
        loop.add_writer(one, called.set_result, None)
        await called
        loop.add_reader(one, print)
        loop.remove_writer(one)
        with pytest.raises(KeyError):
            loop.selector.register(one, 1)
        one.close()
        other.close()
        loop.selector.unregister(one)
        assert one not in loop.selector.get_map()

    run(test)


def test_what_others_watch_is_told_to_them() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        one, other = socket.socketpair()
        with one, other:
            loop.poller.register(one.fileno(), 1)
            other.send(b"x")
            await asyncio.sleep(0)
            told: asyncio.Future[list[tuple[int, int]]] = loop.create_future()

            def tell(ready: list[tuple[int, int]]) -> None:
                if not told.done():
                    told.set_result(ready)

            loop.tell_others_to(tell)
            assert await told == [(one.fileno(), 1)]
            loop.poller.modify(one.fileno(), 4)
            loop.poller.unregister(one.fileno())
            with pytest.raises(OSError, match="No such file"):
                loop.poller.unregister(one.fileno())

    run(test)


def test_a_poller_waits_as_long_as_it_is_told() -> None:
    assert CORE is not None
    poller = CORE.Poller()
    assert poller.poll(0) == []
    assert poller.poll(1) == []
    with pytest.raises(TypeError):
        poller.poll("soon")
