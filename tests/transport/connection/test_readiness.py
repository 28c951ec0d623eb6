"""Who is told of his socket when: whoever has little to do waits for nobody who has much."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.transport.compiled import needs_core
from tests.transport.harness import run, until

from hatchway.transport.connection import readiness as readiness_module
from hatchway.transport.connection.readiness import READABLE, WRITABLE, Readiness
from hatchway.transport.core.event_loop import CoreLoop, new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest


class Noting:
    """Notes each call in a list that it shares with others. It never reads, so it is told again and again."""

    def __init__(self, name: str, calls: list[str], *, is_untrusted: bool = False) -> None:
        self.name = name
        self.calls = calls
        self.is_untrusted = is_untrusted

    def happened(self, _events: int) -> None:
        self.calls.append(self.name)

    def abort(self) -> None:
        self.calls.append(f"{self.name} aborted")


@contextmanager
def readable() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.send(b"x")
        yield ours


def test_one_that_is_untrusted_has_its_turn_when_all_others_have_had_theirs() -> None:
    async def test() -> None:
        calls: list[str] = []
        with ExitStack() as stack:
            readiness = Readiness(asyncio.get_running_loop())
            sockets = [stack.enter_context(readable()) for _ in range(12)]
            for number, sock in enumerate(sockets[:10]):
                watcher = Noting(f"untrusted {number}", calls, is_untrusted=True)
                readiness.watch(sock.fileno(), READABLE, watcher)
            for name, sock in zip(("one", "other"), sockets[10:], strict=True):
                readiness.watch(sock.fileno(), READABLE, Noting(name, calls))
            await until(lambda: len([call for call in calls if call.startswith("untrusted")]) >= 30)
            for sock in sockets:
                readiness.forget(sock.fileno())
        turns = [at for at, call in enumerate(calls) if call.startswith("untrusted")]
        between = [calls[turn + 1 : following] for turn, following in pairwise(turns)]
        assert all({"one", "other"} <= set(told) for told in between)
        # They themselves take turns.
        assert len({calls[turn] for turn in turns[:10]}) == 10

    run(test)


def test_those_who_are_untrusted_cost_each_poll_one_event_however_many_wait() -> None:
    async def test() -> None:
        calls: list[str] = []
        with ExitStack() as stack:
            readiness = Readiness(asyncio.get_running_loop())
            for number in range(20):
                sock = stack.enter_context(readable())
                stack.callback(readiness.forget, sock.fileno())
                watcher = Noting(f"untrusted {number}", calls, is_untrusted=True)
                readiness.watch(sock.fileno(), READABLE, watcher)
            assert len(readiness._poll_now()) == 1
            await until(lambda: len(set(calls)) == 20)

    run(test)


def test_one_that_is_untrusted_and_watched_no_more_is_not_told() -> None:
    async def test() -> None:
        calls: list[str] = []
        with readable() as one, readable() as other:
            readiness = Readiness(asyncio.get_running_loop())
            descriptors = {"one": one.fileno(), "other": other.fileno()}

            class Ending(Noting):
                def happened(self, events: int) -> None:
                    super().happened(events)
                    for descriptor in descriptors.values():
                        readiness.forget(descriptor)

            for name, descriptor in descriptors.items():
                readiness.watch(descriptor, READABLE, Ending(name, calls, is_untrusted=True))
            await until(lambda: bool(calls))
            await asyncio.sleep(0.01)
            assert len(calls) == 1

    run(test)


def test_one_that_is_untrusted_and_closed_while_a_process_is_forked_that_has_it_too_is_not_told() -> None:
    async def test() -> None:
        calls: list[str] = []
        with readable() as one, readable() as other:
            loop = asyncio.get_running_loop()
            told: list[dict[str, object]] = []
            loop.set_exception_handler(lambda _loop, problem: told.append(problem))
            readiness = Readiness(loop)
            readiness.watch(one.fileno(), READABLE, Noting("one", calls, is_untrusted=True))
            # As in a process that is forked, and for as long as it has not begun another program.
            with socket.socket(fileno=os.dup(one.fileno())):
                readiness.closes(one.fileno())
                one.close()
                readiness.watch(other.fileno(), READABLE, Noting("other", calls, is_untrusted=True))
                await until(lambda: len(calls) > 2)
            assert set(calls) == {"other"}
            assert told == []

    run(test)


def test_one_that_another_has_ended_before_its_turn_is_not_told() -> None:
    async def test() -> None:
        calls: list[str] = []
        with readable() as one, readable() as other:
            readiness = Readiness(asyncio.get_running_loop())
            left = {one.fileno(), other.fileno()}

            class Ending(Noting):
                def happened(self, events: int) -> None:
                    super().happened(events)
                    while left:
                        readiness.forget(left.pop())

            for descriptor in tuple(left):
                readiness.watch(descriptor, READABLE, Ending("it", calls))
            await until(lambda: bool(calls))
            await asyncio.sleep(0.01)
            assert calls == ["it"]

    run(test)


def test_what_is_watched_for_can_be_changed() -> None:
    async def test() -> None:
        calls: list[str] = []
        with readable() as sock:
            readiness = Readiness(asyncio.get_running_loop())
            watcher = Noting("it", calls)
            readiness.watch(sock.fileno(), 0, watcher)
            await asyncio.sleep(0.02)
            assert not calls
            readiness.change(sock.fileno(), WRITABLE)
            await until(lambda: bool(calls))
            readiness.forget(sock.fileno())

    run(test)


class Failing(Noting):
    """One that fails whenever it is called, but to be aborted."""

    def happened(self, events: int) -> None:
        super().happened(events)
        raise RuntimeError("in happened")

    def have_turn(self) -> None:
        self.calls.append("turn")
        raise RuntimeError("in have_turn")


def test_one_that_fails_is_aborted_and_the_loop_is_told() -> None:
    async def test() -> None:
        loop, calls, problems = asyncio.get_running_loop(), list[str](), list[str]()
        loop.set_exception_handler(lambda _loop, context: problems.append(str(context["exception"])))
        with readable() as sock:
            readiness = Readiness(loop)
            failing = Failing("it", calls)
            readiness.watch(sock.fileno(), READABLE, failing)
            await until(lambda: bool(problems))
            readiness.forget(sock.fileno())
            assert calls[:2] == ["it", "it aborted"]
            calls.clear()
            readiness.later(failing)
            await until(lambda: "in have_turn" in problems)
            assert calls == ["turn", "it aborted"]

    run(test)


def test_what_there_is_no_time_for_is_told_in_the_next_round(monkeypatch: pytest.MonkeyPatch) -> None:
    # No round has time for more than one.
    monkeypatch.setattr(readiness_module, "MAX_ROUND", -1.0)

    async def test() -> None:
        calls: list[str] = []
        with ExitStack() as stack:
            readiness = Readiness(asyncio.get_running_loop())
            sockets = {name: stack.enter_context(readable()) for name in ("one", "two", "three")}
            for name, sock in sockets.items():
                readiness.watch(sock.fileno(), READABLE, Noting(name, calls))
            await until(lambda: set(calls) == set(sockets))
            for sock in sockets.values():
                readiness.forget(sock.fileno())

    run(test)


@needs_core
def test_the_core_s_loop_tells_what_it_does_not_carry() -> None:
    async def test() -> None:
        calls: list[str] = []
        readiness = Readiness(asyncio.get_running_loop())
        assert readiness.poller is not None
        with readable() as sock:
            readiness.watch(sock.fileno(), READABLE, Noting("one", calls))
            await until(lambda: len(calls) >= 3)
            readiness.forget(sock.fileno())

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(test())


class Leading(Noting):
    """Has something called when it is told, once, and is not told again."""

    def __init__(self, readiness: Readiness, sock: socket.socket, call: Callable[[], object]) -> None:
        super().__init__("leading", [])
        self.readiness, self.sock, self.call = readiness, sock, call

    def happened(self, _events: int) -> None:
        self.readiness.forget(self.sock.fileno())
        self.readiness.loop.call_soon(self.call)


@needs_core
def test_what_a_socket_leads_to_is_called_before_the_core_s_loop_looks_at_sockets_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[int] = []
    at: list[int] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CoreLoop)
        readiness, poller = Readiness(loop), loop.poller

        class Looking:
            def poll(self, milliseconds: int) -> list[tuple[int, int]]:
                looks.append(0)
                return poller.poll(milliseconds)

        monkeypatch.setattr(loop, "poller", Looking())
        with readable() as sock:
            watcher = Leading(readiness, sock, lambda: at.append(len(looks)))
            readiness.watch(sock.fileno(), READABLE, watcher)
            told_before = len(looks)
            await until(lambda: bool(at))
            # The loop was looking when it was told: that look counts.
            assert at == [told_before + 1]

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(test())


@needs_core
def test_the_core_s_loop_goes_on_when_sockets_cannot_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[object] = []

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: problems.append(context["exception"]))
        readiness = Readiness(loop)
        failure = RuntimeError("no turn")

        def fail() -> None:
            raise failure

        with readable() as sock:
            calls: list[str] = []
            readiness.watch(sock.fileno(), READABLE, Noting("one", calls))
            with monkeypatch.context() as patched:
                patched.setattr(readiness, "_poll", fail)
                await until(lambda: failure in problems)
            await until(lambda: "one" in calls)
            readiness.forget(sock.fileno())

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(test())


@needs_core
def test_of_one_whose_turn_is_yet_to_come_the_core_s_loop_tells_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is as readable at each look as before: all that wait would be queued again and again."""
    monkeypatch.setattr(readiness_module, "MAX_ROUND", 0.0)

    async def test() -> None:
        calls: list[str] = []
        with ExitStack() as stack:
            readiness = Readiness(asyncio.get_running_loop())
            for number in range(20):
                sock = stack.enter_context(readable())
                readiness.watch(sock.fileno(), READABLE, Noting(str(number), calls))
            await until(lambda: len(calls) >= 200)
            assert len(readiness._ready) <= 20
            # And each has had its turn as often as any other.
            counts = [calls.count(str(number)) for number in range(20)]
            assert max(counts) - min(counts) <= 1
            # What is new of one that waits is not lost.
            waiting = readiness._ready[0][0]
            readiness._serve_now([(waiting, WRITABLE)])
            assert dict(readiness._ready)[waiting] == READABLE | WRITABLE

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(test())
