"""How often a source has failed lately."""

import pytest
from tests.transport.harness import Clock

from hatchway.transport.listening.failures import FailureLimit


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(limit: FailureLimit, address: str, times: int) -> None:
    for _ in range(times):
        limit.failed(address)


def test_a_source_is_not_heard_after_too_many_failures_until_the_window_ends(clock: Clock) -> None:
    limit = FailureLimit(clock, most=3, window=60)
    fail(limit, "192.0.2.1", 2)
    assert not limit.reached("192.0.2.1")
    clock.now += 59
    fail(limit, "192.0.2.1", 1)
    assert limit.reached("192.0.2.1")
    assert not limit.reached("192.0.2.2")
    clock.now += 1
    assert not limit.reached("192.0.2.1")
    fail(limit, "192.0.2.1", 2)
    assert not limit.reached("192.0.2.1")


def test_only_so_many_sources_are_remembered(clock: Clock) -> None:
    limit = FailureLimit(clock, most=1, sources=100)
    for number in range(1000):
        clock.now += 0.001
        fail(limit, f"10.0.{number // 256}.{number % 256}", 1)
    assert len(limit) == 100
    assert limit.reached("10.0.3.231")
    assert not limit.reached("10.0.0.1")
