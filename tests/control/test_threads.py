"""Threads are shared out: nobody has more than his share, and who waits has his turn."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from itertools import count

import pytest
from tests.control.harness import World
from tests.transport.harness import until

from hatchway.control import concurrency
from hatchway.control.concurrency import ConcurrentCalls, SlowCalls, TooManyCalls
from hatchway.control.refusals import throttled, to_service_error
from hatchway.control.threads import Busy, Threads


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


class Work:
    """Notes who runs, and lets nobody end before it is told to."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.release = threading.Semaphore(0)

    def of(self, name: str) -> Callable[[], str]:
        def work() -> str:
            self.began.append(name)
            self.release.acquire()
            return name

        return work

    async def until(self, many: int) -> None:
        await until(lambda: len(self.began) >= many)


def test_one_asker_has_no_more_than_his_share_and_the_rest_is_for_others() -> None:
    async def test() -> None:
        threads, work = Threads(4, share=2), Work()
        tasks = [asyncio.create_task(threads.run("a", work.of("a"))) for _ in range(6)]
        await work.until(2)
        tasks.append(asyncio.create_task(threads.run("b", work.of("b"))))
        await work.until(3)
        assert work.began == ["a", "a", "b"]
        work.release.release(7)
        assert sorted(await asyncio.gather(*tasks)) == ["a"] * 6 + ["b"]

    run(test)


def test_those_who_wait_take_turns_whoever_came_first() -> None:
    async def test() -> None:
        threads, work = Threads(1, share=1), Work()
        tasks = [asyncio.create_task(threads.run(name, work.of(name))) for name in "aaabc"]
        await work.until(1)
        for many in range(2, 6):
            work.release.release()
            await work.until(many)
        work.release.release()
        await asyncio.gather(*tasks)
        assert work.began == ["a", "a", "b", "c", "a"]

    run(test)


def test_who_waits_for_too_long_or_among_too_many_is_told_so_and_takes_no_turn() -> None:
    async def test() -> None:
        threads, work = Threads(1, share=1, places=2, queue_seconds=0.1), Work()
        running = asyncio.create_task(threads.run("a", work.of("a")))
        await work.until(1)
        waiting = [asyncio.create_task(threads.run(name, work.of(name))) for name in "bc"]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await threads.run("d", work.of("d"))
        assert all(isinstance(each, Busy) for each in await asyncio.gather(*waiting, return_exceptions=True))
        work.release.release(2)
        assert await running == "a"
        assert await threads.run("e", work.of("e")) == "e"
        assert work.began == ["a", "e"]

    run(test)


def test_work_that_raises_gives_its_thread_back() -> None:
    async def test() -> None:
        threads = Threads(1, share=1)

        def fail() -> None:
            raise ValueError("no")

        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                await threads.run("a", fail)

    run(test)


@pytest.mark.parametrize("given_up_first", [True, False])
def test_a_turn_that_comes_in_the_moment_in_which_it_is_given_up_is_another_s(
    given_up_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        ends: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def run_sync(work: Callable[[], str], **_: object) -> str:
            if work() == "first":
                await ends
            return work()

        monkeypatch.setattr("hatchway.control.threads.to_thread.run_sync", run_sync)
        threads = Threads(1, share=1)
        first = asyncio.create_task(threads.run("a", lambda: "first"))
        second = asyncio.create_task(threads.run("a", lambda: "second"))
        await asyncio.sleep(0)
        ends.set_result(None)
        if given_up_first:
            second.cancel()
        await asyncio.sleep(0)
        second.cancel()
        assert await first == "first"
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (threads.running, threads.waiting) == (0, 0)
        assert await threads.run("b", lambda: "third") == "third"

    run(test)


def test_a_principal_has_so_many_calls_under_way_from_wherever_they_come() -> None:
    running = ConcurrentCalls(2)
    with running.one_more("alice"), running.one_more("alice"):
        with pytest.raises(TooManyCalls), running.one_more("alice"):
            pass
        with running.one_more("bob"):
            pass
    with running.one_more("alice"):
        pass


@pytest.mark.parametrize(
    ("slow", "remembered", "waits"), [(-1.0, 60.0, True), (60.0, 60.0, False), (-1.0, 0.0, False)]
)
def test_whoever_has_made_a_slow_call_has_the_next_ones_wait_for_one_another_for_a_while(
    monkeypatch: pytest.MonkeyPatch, slow: float, remembered: float, waits: bool
) -> None:
    monkeypatch.setattr(concurrency, "REMEMBERED", remembered)
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    calls = SlowCalls(slow)
    for _ in range(2):
        with calls.turn("alice"):
            pass
    with calls.turn("alice"):
        if waits:
            with pytest.raises(TooManyCalls), calls.turn("alice"):
                pass
        else:
            with calls.turn("alice"):
                pass
        with calls.turn("bob"):
            pass
    with calls.turn("alice"):
        pass


@pytest.mark.parametrize(("much", "waits"), [(0.02, True), (60.0, False)])
def test_whoever_makes_many_quick_calls_has_them_wait_for_one_another_too(
    monkeypatch: pytest.MonkeyPatch, much: float, waits: bool
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    # Each computes for ten milliseconds, by this clock.
    monkeypatch.setattr("time.thread_time", count(0.0, 0.01).__next__)
    calls = SlowCalls(60.0, much)
    for principal in ("alice", "bob", "alice", "alice"):
        with calls.turn(principal):
            pass
    refused = pytest.raises(TooManyCalls) if waits else nullcontext()
    with calls.turn("alice"), refused, calls.turn("alice"):
        pass
    with calls.turn("bob"), calls.turn("bob"):
        pass


@pytest.mark.parametrize(
    ("forgiven", "most", "waits"),
    [(0.0, 2, True), (1e12, 2, False), (0.0, 1, False)],
    ids=["counted", "forgiven", "forgotten"],
)
def test_what_was_computed_is_forgiven_in_time_and_forgotten_of_whoever_called_longest_ago(
    monkeypatch: pytest.MonkeyPatch, forgiven: float, most: int, waits: bool
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(concurrency, "FORGIVEN", forgiven)
    monkeypatch.setattr(concurrency, "MOST", most)
    # Each computes for ten milliseconds, by this clock.
    monkeypatch.setattr("time.thread_time", count(0.0, 0.01).__next__)
    calls = SlowCalls(60.0, 0.015)
    for principal in ("alice", "bob", "alice"):
        with calls.turn(principal):
            pass
    refused = pytest.raises(TooManyCalls) if waits else nullcontext()
    with calls.turn("alice"), refused, calls.turn("alice"):
        pass


def test_reading_a_request_is_measured_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def turn(self: SlowCalls, principal: str) -> AbstractContextManager[None]:
        measured.append(principal)
        return nullcontext()

    monkeypatch.setattr(SlowCalls, "turn", turn)
    answer = world.send(body=b"Action=ListUsers&Version=2010-05-08&NotThere=1", service="iam")
    assert answer.status == 400
    assert len(measured) == 1


def test_of_calls_that_begin_together_a_few_are_computed_before_it_is_known_whether_they_are_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    calls = SlowCalls(60.0, together=2)
    for _ in range(2):
        with calls.turn("alice"), calls.turn("alice"):
            with pytest.raises(TooManyCalls), calls.turn("alice"):
                pass
            with calls.turn("bob"):
                pass
        assert not calls._rooms


def test_a_call_that_fails_is_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    calls = SlowCalls(-1.0)
    with pytest.raises(ZeroDivisionError), calls.turn("alice"):
        _ = 1 / 0
    with calls.turn("alice"), pytest.raises(TooManyCalls), calls.turn("alice"):
        pass


def test_a_call_that_takes_longer_than_it_is_remembered_is_still_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(concurrency, "LONGEST_WAIT", 0.01)
    calls = SlowCalls(-1.0)
    with calls.turn("alice"):
        pass
    with calls.turn("alice"):
        calls._turns["alice"].until = 0.0
        for other in ("bob", "alice"):
            with calls.turn(other):
                pass
        with pytest.raises(TooManyCalls), calls.turn("alice"):
            pass


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("ec2", "RequestLimitExceeded", 503),
        ("ec2-instance-connect", "ThrottlingException", 429),
        ("iam", "Throttling", 429),
        ("sts", "Throttling", 429),
        ("hatchway", "ThrottlingException", 429),
    ],
)
def test_too_much_is_said_in_the_service_s_own_words(service: str, code: str, status: int) -> None:
    error = throttled(service, "too much")
    assert (error.code, error.status) == (code, status)
    assert to_service_error(TooManyCalls(), service, None).code == code  # type: ignore[arg-type]
