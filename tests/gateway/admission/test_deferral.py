"""Requests that wait for those of the same principal: for a while, and a few at a time."""

import asyncio
from typing import Any, cast

import pytest
from tests.transport.harness import run, until

from hatchway.gateway.admission import deferral
from hatchway.gateway.admission.decision import Admitted, Deferred, Refused
from hatchway.gateway.admission.deferral import MAX_OF_ONE_PRINCIPAL, DeferredRequests

YES, NO = cast("Admitted", "yes"), cast("Refused", "no")


class Client:
    is_gone = False


def decided(turns: DeferredRequests, answers: list[Any], client: Client | None = None) -> Any:
    return turns.decide_when_due(cast("Any", client or Client()), lambda: answers.pop(0), answers.pop(0))


def test_what_is_to_come_later_is_asked_again_until_it_is_decided() -> None:
    async def test() -> None:
        later = Deferred(0.001, "mallory", NO)
        assert await decided(DeferredRequests(), [YES]) == YES
        assert await decided(DeferredRequests(), [later, later, YES]) == YES

    run(test)


def test_what_would_wait_for_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferral, "LONGEST_WAIT", 0.05)

    async def test() -> None:
        assert await decided(DeferredRequests(), [Deferred(0.06, "mallory", NO)]) == NO
        assert await decided(DeferredRequests(), [Deferred(0.03, "mallory", NO)] * 2) == NO

    run(test)


def test_of_one_principal_a_few_wait_and_more_are_refused_and_those_of_others_are_not() -> None:
    async def test() -> None:
        turns = DeferredRequests()
        asked = [Deferred(0.2, "mallory", NO), YES]
        waiting = [asyncio.create_task(decided(turns, asked[:])) for _ in range(MAX_OF_ONE_PRINCIPAL)]
        await asyncio.sleep(0)
        assert await decided(turns, asked[:]) == NO
        assert await decided(turns, [Deferred(0.001, "alice", NO), YES]) == YES
        assert await asyncio.gather(*waiting) == [YES] * MAX_OF_ONE_PRINCIPAL
        # They are counted no more.
        assert await decided(turns, [Deferred(0.001, "mallory", NO), YES]) == YES

    run(test)


def test_a_client_that_left_meanwhile_is_not_decided_on() -> None:
    async def test() -> None:
        client = Client()
        answers: list[Any] = [Deferred(0.05, "mallory", NO), YES]
        waiting = asyncio.create_task(decided(DeferredRequests(), answers, client))
        await until(lambda: len(answers) == 1)
        client.is_gone = True
        with pytest.raises(ConnectionResetError):
            await waiting
        assert answers == [YES]

    run(test)
