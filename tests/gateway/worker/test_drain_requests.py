"""A gateway is asked to drain by URL, by its own machine alone."""

import pytest

from hatchway.gateway.worker.drain_requests import DrainRequests
from hatchway.metrics_listener import Question

NOTICE = 15.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(
    drain: DrainRequests, method: str = "POST", peer: str = "127.0.0.1", origin: str | None = None
) -> str:
    """The status of the answer."""
    return drain.answer(Question(method, peer, origin)).status[:3]


def said(drain: DrainRequests) -> tuple[bool, bool]:
    """Whether it is asked to drain, and whether the notice is over."""
    return drain.is_asked, drain.refuses


def test_it_is_not_ready_at_once_and_refuses_when_load_balancers_had_time_to_notice() -> None:
    clock = Clock()
    drain = DrainRequests(NOTICE, clock)
    assert said(drain) == (False, False)
    assert asked(drain) == "200"
    assert said(drain) == (True, False)
    clock.now += NOTICE - 1
    assert asked(drain) == "200", "asked again, it goes on"
    assert said(drain) == (True, False)
    clock.now += 1
    assert said(drain) == (True, True)
    assert asked(drain, "DELETE") == asked(drain, "DELETE") == "200"
    assert said(drain) == (False, False)


def test_without_notice_it_refuses_at_once() -> None:
    drain = DrainRequests(0)
    assert asked(drain) == "200"
    assert drain.refuses


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
def test_this_machine_itself_may_ask(method: str, peer: str) -> None:
    assert asked(DrainRequests(NOTICE), method, peer) == "200"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "peer", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", "fe80::1%eth0", "", "nonsense"]
)
def test_nobody_else_may_ask(method: str, peer: str) -> None:
    drain = DrainRequests(NOTICE)
    asked(drain)
    before = drain.is_asked
    assert asked(drain, method, peer) == "403"
    assert drain.is_asked == before


def test_a_page_in_a_browser_on_this_machine_may_not_ask() -> None:
    drain = DrainRequests(NOTICE)
    assert asked(drain, origin="https://elsewhere.example") == asked(drain, origin="null") == "403"
    assert not drain.is_asked


def test_looking_at_the_url_asks_for_nothing() -> None:
    drain = DrainRequests(NOTICE)
    answer = drain.answer(Question("GET", "127.0.0.1", None))
    assert (answer.status[:3], answer.allow) == ("405", "POST, DELETE")
    assert not drain.is_asked
