import asyncio
from collections.abc import Awaitable

import pytest

from hatchway.gateway.trail.timeouts import SharedTimeout


def future() -> "asyncio.Future[str]":
    return asyncio.get_running_loop().create_future()


async def outcome(waiting: Awaitable[str]) -> str:
    try:
        return await waiting
    except TimeoutError:
        return "given up"


def test_what_comes_in_time_is_given_and_leaves_no_timer() -> None:
    async def test() -> None:
        timeout = SharedTimeout(20)
        first, second, failing = (future() for _ in range(3))
        waiting = [asyncio.create_task(timeout.wait(each)) for each in (first, second, failing)]
        await asyncio.sleep(0)
        second.set_result("second")
        failing.set_exception(OSError("no"))
        first.set_result("first")
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers[:2] == ["first", "second"]
        assert isinstance(answers[2], OSError)

    loop = asyncio.new_event_loop()
    timers: list[asyncio.TimerHandle] = []
    schedule = loop.call_later

    def note(*arguments: object) -> asyncio.TimerHandle:
        timers.append(schedule(*arguments))  # type: ignore[arg-type]
        return timers[-1]

    loop.call_later = note  # type: ignore[method-assign, assignment]
    loop.run_until_complete(test())
    loop.close()
    assert [timer.cancelled() for timer in timers] == [True]


def test_each_is_given_up_when_its_own_time_is_up() -> None:
    async def test() -> None:
        now = 1000.0
        asyncio.get_running_loop().time = lambda: now  # type: ignore[method-assign]
        timeout = SharedTimeout(20)
        early, late = future(), future()
        first = asyncio.create_task(outcome(timeout.wait(early)))
        await asyncio.sleep(0)
        now += 10
        second = asyncio.create_task(outcome(timeout.wait(late)))
        await asyncio.sleep(0)
        now += 10
        assert await first == "given up"
        assert not late.done()
        now += 10
        assert await second == "given up"

    asyncio.run(test())


def test_who_stops_waiting_is_not_given_up() -> None:
    async def test() -> None:
        timeout = SharedTimeout(0.05)
        left, kept = future(), future()
        leaving = asyncio.create_task(timeout.wait(left))
        staying = asyncio.create_task(outcome(timeout.wait(kept)))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert left.cancelled()
        assert await staying == "given up"

    asyncio.run(test())


def test_one_timeout_serves_one_event_loop_after_the_other() -> None:
    timeout = SharedTimeout(0.05)

    async def test() -> None:
        never = future()
        with pytest.raises(TimeoutError):
            await timeout.wait(never)

    async def in_time() -> None:
        soon = future()
        asyncio.get_running_loop().call_soon(soon.set_result, "soon")
        assert await timeout.wait(soon) == "soon"

    for each in (in_time, test, in_time, test):
        asyncio.run(each())
