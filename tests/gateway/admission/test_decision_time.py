"""Whose policies take long has a share of the time, and waits for no more than its own."""

import pytest

from hatchway.gateway.admission import decision_time
from hatchway.gateway.admission.decision_time import BURST, NOT_COUNTED, SHARE, DecisionTime


class Clocks:
    """Time as a test has it pass, and what was computed in it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.computed = 7.0
        self.time = DecisionTime(lambda: self.now, lambda: self.computed)

    def decide(self, maker: str, seconds: float) -> None:
        with self.time.measured(maker):
            self.computed += seconds


def test_decisions_that_take_as_long_as_most_are_never_waited_for() -> None:
    clocks = Clocks()
    for _ in range(10_000):
        clocks.decide("alice", NOT_COUNTED * 0.9)
    assert clocks.time.wait("alice") == 0


def test_who_takes_long_may_at_once_and_then_for_its_share_and_others_do_not_notice() -> None:
    clocks = Clocks()
    decided = 0
    while not clocks.time.wait("mallory"):
        clocks.decide("mallory", 0.01)
        decided += 1
    assert decided == pytest.approx(BURST / 0.01, abs=1)
    assert clocks.time.wait("alice") == 0
    began, decided = clocks.now, 0
    while clocks.now < began + 100:
        clocks.now += clocks.time.wait("mallory") + 1e-9
        clocks.decide("mallory", 0.01)
        decided += 1
    assert decided * 0.01 == pytest.approx(100 * SHARE, rel=0.05)


def test_after_a_pause_it_is_as_if_nothing_had_been() -> None:
    clocks = Clocks()
    clocks.decide("mallory", 1.0)
    assert clocks.time.wait("mallory") == pytest.approx((1.0 - BURST) / SHARE)
    clocks.now += 1.0 / SHARE
    assert clocks.time.wait("mallory") == 0
    clocks.decide("mallory", BURST)
    assert clocks.time.wait("mallory") == 0


def test_a_decision_that_fails_is_counted_too() -> None:
    clocks = Clocks()
    with pytest.raises(ZeroDivisionError), clocks.time.measured("mallory"):
        clocks.computed += 1
        _ = 1 / 0
    assert clocks.time.wait("mallory") > 0


def test_so_many_are_remembered_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_time, "MAX_PRINCIPALS", 2)
    clocks = Clocks()
    for maker in ("a", "b", "c"):
        clocks.decide(maker, 1.0)
    assert [clocks.time.wait(maker) > 0 for maker in ("a", "b", "c")] == [False, True, True]
