"""The event loop that waits by the core's poller."""

import asyncio
import gc
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from typing import Any, cast

import pytest
from tests.transport.compiled import needs_core
from tests.transport.harness import until

from hatchway.transport.core import event_loop
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
        events = loop.create_future()
        loop.add_signal_handler(signal.SIGUSR1, events.set_result, "told")
        loop.call_later(0.001, signal.raise_signal, signal.SIGUSR1)
        assert await events == "told"

    run(test)


def test_a_loop_reads_once_what_others_wake_it_by_and_comes_back_for_what_is_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_loop, "_WAKES", 2)
    reads: list[bytes] = []

    class Counted:
        def __init__(self, wakes: socket.socket) -> None:
            self._wakes = wakes

        def recv(self, most: int) -> bytes:
            reads.append(b"-")
            reads[-1] = self._wakes.recv(most)
            return reads[-1]

    async def test() -> None:
        loop = cast("Any", asyncio.get_running_loop())
        wakes, loop._ssock = loop._ssock, Counted(loop._ssock)
        events: list[int] = []
        # As another thread does while the loop is at work.
        for number in range(5):
            loop.call_soon_threadsafe(events.append, number)
        await until(lambda: len(reads) == 3)
        assert events == [0, 1, 2, 3, 4]
        assert reads == [b"\0\0", b"\0\0", b"\0"]
        # Where there is nothing, nothing happens.
        loop._read_from_self()
        assert reads[-1] == b"-"
        loop._ssock = wakes

    run(test)


def test_a_timer_is_not_before_its_time() -> None:
    async def test() -> None:
        start = time.monotonic()
        await asyncio.sleep(0.0101)
        assert time.monotonic() - start >= 0.0101

    run(test)


def test_calls_are_made_in_order_with_their_arguments_and_cancelled_ones_not_at_all() -> None:
    async def test() -> None:
        loop, made = asyncio.get_running_loop(), list[tuple[int, ...]]()

        def note(*given: int) -> None:
            made.append(given)

        for number in range(5):
            loop.call_soon(note, *range(number))
        cancelled = loop.call_soon(note, 9), loop.call_later(0, note, 9)
        for handle in cancelled:
            assert not handle.cancelled()
            handle.cancel()
            handle.cancel()
            assert handle.cancelled()
        await asyncio.sleep(0.01)
        assert made == [tuple(range(number)) for number in range(5)]

    run(test)


def test_timers_are_called_by_their_times_and_those_that_are_cancelled_are_forgotten() -> None:
    async def test() -> None:
        loop, made = asyncio.get_running_loop(), list[int]()
        assert isinstance(loop, CoreLoop)
        now = loop.time()
        for number in (3, 1, 2):
            assert loop.call_at(now + number / 1000, made.append, number).when() == now + number / 1000
        for _ in range(1000):
            loop.call_later(3600, made.append, 9).cancel()
        await until(lambda: len(made) == 3)
        assert made == [1, 2, 3]
        assert len(loop._scheduled) < 200

    run(test)


def test_what_a_call_raises_is_told_and_the_loop_goes_on() -> None:
    async def test() -> None:
        loop, events = asyncio.get_running_loop(), list[dict[str, object]]()
        loop.set_exception_handler(lambda _loop, context: events.append(context))
        loop.call_soon(int, "no number")
        loop.call_later(0, int, "none either")
        await until(lambda: len(events) == 2)
        for context, text in zip(events, ("no number", "none either"), strict=True):
            assert "<class 'int'>" in str(context["message"])
            assert isinstance(context["exception"], ValueError)
            assert text in str(context["exception"])

    run(test)


def test_a_call_may_end_the_program() -> None:
    async def test() -> None:
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await asyncio.sleep(60)

    with pytest.raises(SystemExit) as ended:
        run(test)
    assert ended.value.code == 3


def test_a_call_has_the_context_that_it_was_asked_for_in_or_is_given() -> None:
    variable = ContextVar("variable", default="none")

    async def test() -> None:
        loop, seen = asyncio.get_running_loop(), list[str]()

        def see() -> None:
            seen.append(variable.get())
            variable.set("its own")

        empty = Context()
        variable.set("asked for")
        loop.call_soon(see)
        loop.call_soon(see, context=empty)
        loop.call_later(0, see)
        variable.set("later")
        await until(lambda: len(seen) == 3)
        assert seen == ["asked for", "none", "asked for"]
        assert variable.get() == "later"
        assert empty[variable] == "its own"

    run(test)


def test_a_loop_that_is_closed_calls_nothing() -> None:
    loop = new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1, print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(print)


def test_a_loop_takes_calls_of_its_own_kind_and_at_times_alone() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        with pytest.raises(TypeError):
            loop.call_later(None, print)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            loop.call_at(1)  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            loop.call_at(1, print, wherever=1)  # type: ignore[call-arg]
        assert all(timer.when() for timer in loop._scheduled)

    run(test)


def test_a_timer_has_the_context_that_is_given_for_it() -> None:
    said: ContextVar[str] = ContextVar("said", default="nothing")

    async def test() -> None:
        loop, context, heard = asyncio.get_running_loop(), Context(), list[str]()
        context.run(said.set, "given")
        loop.call_later(0, lambda: heard.append(said.get()), context=context)
        loop.call_at(0, lambda: heard.append(said.get()))
        await until(lambda: len(heard) == 2)
        assert sorted(heard) == ["given", "nothing"]

    run(test)


def test_timers_that_are_cancelled_wake_nobody() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        for _ in range(5):
            loop.call_later(0.001, print).cancel()
        counted = loop._timer_cancelled_count
        assert counted >= 5
        await asyncio.sleep(0.02)
        assert loop._timer_cancelled_count == counted - 5
        assert not any(timer.cancelled() for timer in loop._scheduled)

    run(test)


def test_what_is_watched_no_more_is_not_told_though_it_has_come() -> None:
    async def test() -> None:
        loop, events = asyncio.get_running_loop(), list[str]()
        one, other = socket.socketpair()
        with one, other:

            def first() -> None:
                events.append("first")
                for each in (one, other):
                    loop.remove_reader(each)

            for each in (one, other):
                each.send(b"x")
                loop.add_reader(each, first)
            await until(lambda: bool(events))
            await asyncio.sleep(0)
            assert events == ["first"]

    run(test)


def test_what_asks_for_another_call_each_time_keeps_nobody_waiting() -> None:
    async def test() -> None:
        loop, stopped = asyncio.get_running_loop(), list[bool]()

        def again() -> None:
            if not stopped:
                loop.call_soon(again)

        again()
        one, other = socket.socketpair()
        with one, other:
            other.send(b"x")
            heard = loop.create_future()

            def hear() -> None:
                loop.remove_reader(one)
                heard.set_result(one.recv(1))

            loop.add_reader(one, hear)
            assert await heard == b"x"
        await asyncio.sleep(0.001)
        stopped.append(True)

    run(test)


def test_a_timer_that_is_none_of_the_core_s_is_told_of() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        loop._scheduled.insert(0, "a timer")
        with pytest.raises(TypeError, match="none of the core's"):
            loop._run_once()
        del loop._scheduled[0]

    run(test)


def test_in_debug_mode_a_slow_call_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 0.001
        loop.call_soon(time.sleep, 0.002)
        await asyncio.sleep(0.001)

    run(test)
    assert "Handle" in caplog.text


def test_a_call_that_holds_itself_is_collected() -> None:
    class Holder:
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.handle = loop.call_soon(self.called)

        def called(self) -> None:
            """Nothing."""

    async def test() -> None:
        holder = Holder(asyncio.get_running_loop())
        gone = weakref.ref(holder)
        await asyncio.sleep(0.001)
        del holder
        gc.collect()
        assert gone() is None

    run(test)


def test_a_handle_is_made_of_what_it_needs() -> None:
    assert CORE is not None
    with pytest.raises(TypeError, match="a handle is of"):
        CORE.handle(None, print, [], None, None)
    with pytest.raises(TypeError, match="real number"):
        CORE.handle(None, print, (), None, "soon")


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
            events: asyncio.Future[list[tuple[int, int]]] = loop.create_future()

            def on_other_events(ready: list[tuple[int, int]]) -> None:
                if not events.done():
                    events.set_result(ready)

            loop.on_other_events(on_other_events)
            assert await events == [(one.fileno(), 1)]
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


def test_a_call_is_made_in_the_context_that_is_given_for_it_and_nothing_else_is_taken() -> None:
    async def test() -> None:
        loop, seen, mine = asyncio.get_running_loop(), list[str](), ContextVar("mine", default="none")
        other = Context()
        other.run(mine.set, "other")
        mine.set("present")
        for context in (other, None):
            loop.call_soon(lambda: seen.append(mine.get()), context=context)
        mine.set("later")
        await asyncio.sleep(0)
        assert seen == ["other", "present"]
        with pytest.raises(TypeError, match="takes a callback"):
            loop.call_soon()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="takes a callback"):
            loop.call_soon(seen.append, "x", when=1.0)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="doesn't apply"):
            CoreLoop.call_soon(cast("CoreLoop", object()), seen.append, "x")

    run(test)


def test_a_loop_that_is_closed_takes_no_calls() -> None:
    loop = new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
