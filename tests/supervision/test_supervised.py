"""What a process hears of its supervisor."""

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from hatchway.supervision.supervised import DETACH, REPLACED, Supervised


@pytest.mark.parametrize("new_event_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_last_word_of_a_supervisor_and_its_end_are_both_heard_when_they_come_at_once(
    new_event_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def test() -> list[str]:
        mine, its = socket.socketpair()
        heard: list[str] = []
        ended = asyncio.Event()

        def orphaned() -> None:
            heard.append("orphaned")
            ended.set()

        # What it has not read has its end be a reset.
        mine.send(DETACH)
        its.send(REPLACED)
        its.close()
        with mine:
            Supervised(mine).watch(
                asyncio.get_running_loop(), replaced=lambda: heard.append("replaced"), orphaned=orphaned
            )
            await asyncio.wait_for(ended.wait(), 20)
        return heard

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(test()) == ["replaced", "orphaned"]


def test_a_supervisor_that_is_gone_before_it_is_answered_is_noticed() -> None:
    async def test() -> None:
        mine, its = socket.socketpair()
        ended = asyncio.Event()
        its.send(DETACH)
        its.close()
        told: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, problem: told.append(problem))
        with mine:
            Supervised(mine).watch(asyncio.get_running_loop(), replaced=lambda: None, orphaned=ended.set)
            await asyncio.wait_for(ended.wait(), 20)
        assert told == []

    asyncio.run(test())
