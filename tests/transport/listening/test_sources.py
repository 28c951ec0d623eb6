"""What sources may waste, what all may together, and whom a neighbour's failures do not touch."""

import pytest
from tests.transport.harness import Clock

from hatchway.transport.listening.failures import MOST
from hatchway.transport.listening.sources import (
    KNOWN_SECONDS,
    MAY_BE_REFUSED,
    MAY_BE_REFUSED_RATE,
    Sources,
    prefixes_of,
    source_of,
)

ADDRESS, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
KEY, OTHER_KEY = "AKIAALICEALICEALICE0", "AKIABOBBOBBOBBOBBOB0"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def admitted_of(sources: Sources, address: str, connections: int) -> int:
    return sum(sources.admits(source_of(address)) for _ in range(connections))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_site(one: str, other: str, same: bool) -> None:
    assert (source_of(one) == source_of(other)) is same


def test_a_source_has_so_many_connections_that_lead_to_nothing_and_more_grow_again(clock: Clock) -> None:
    sources = Sources(clock, may_waste=5, may_waste_rate=2)
    assert admitted_of(sources, ADDRESS, 50) == 5
    assert admitted_of(sources, NEIGHBOUR, 50) == 5
    clock.now += 1
    assert admitted_of(sources, ADDRESS, 50) == 2
    clock.now += 1000
    assert admitted_of(sources, ADDRESS, 50) == 5


def test_connections_that_authenticate_cost_their_source_nothing(clock: Clock) -> None:
    sources = Sources(clock, may_waste=5)
    for _ in range(100):
        assert admitted_of(sources, ADDRESS, 5) == 5
        assert not sources.admits(source_of(ADDRESS))
        for _ in range(5):
            sources.authenticated(ADDRESS)
    assert not len(sources)


def test_refusals_of_those_who_have_a_key_cost_their_source_nothing_up_to_a_rate(clock: Clock) -> None:
    sources = Sources(clock, may_waste=5, may_waste_rate=1)

    def refused_of(requests: int) -> int:
        taken = 0
        for _ in range(requests):
            if sources.admits(source_of(ADDRESS)):
                taken += 1
                sources.refused(ADDRESS)
        return taken

    assert refused_of(1000) == MAY_BE_REFUSED + 5
    assert sources.admits(source_of(NEIGHBOUR))
    clock.now += 1
    assert refused_of(1000) == MAY_BE_REFUSED_RATE + 1


def test_only_so_many_sources_are_remembered(clock: Clock) -> None:
    sources = Sources(clock, may_waste=1, remembered=100)
    for number in range(1000):
        assert sources.admits(source_of(f"10.0.{number // 256}.{number % 256}"))
    assert len(sources) == 100
    assert not sources.admits(source_of("10.0.3.231"))


def test_unknown_sources_have_a_turn_while_all_together_have_not_wasted_too_much(clock: Clock) -> None:
    sources = Sources(clock, all_may_waste=3, all_may_waste_rate=1)
    for _ in range(3):
        assert sources.unknown_may_begin()
        sources.begins()
    assert not sources.unknown_may_begin()
    sources.authenticated(ADDRESS)
    assert sources.unknown_may_begin()
    sources.begins()
    clock.now += 1
    assert sources.unknown_may_begin()


def test_what_known_sources_waste_keeps_unknown_ones_waiting_for_so_long_only(clock: Clock) -> None:
    sources = Sources(clock, all_may_waste=3, all_may_waste_rate=1)
    for _ in range(1000):
        sources.begins()
    clock.now += 4
    assert sources.unknown_may_begin()


def test_a_source_is_known_for_a_day_after_a_tunnel_was_granted_to_it(clock: Clock) -> None:
    sources = Sources(clock)
    sources.authenticated(ADDRESS)
    assert not sources.knows(source_of(ADDRESS))
    sources.admitted(ADDRESS, KEY)
    assert sources.knows(source_of(ADDRESS))
    assert not sources.knows(source_of(NEIGHBOUR))
    clock.now += KNOWN_SECONDS
    assert not sources.knows(source_of(ADDRESS))


def test_only_so_many_known_sources_are_remembered_the_latest(clock: Clock) -> None:
    sources = Sources(clock, remembered=4)
    sources.admitted(ADDRESS, KEY)
    sources.admitted("10.0.0.1", KEY)
    sources.admitted(ADDRESS, KEY)
    sources.admitted("10.0.0.2", KEY)
    assert [sources.knows(source_of(each)) for each in (ADDRESS, "10.0.0.1", "10.0.0.2")] == [
        True,
        False,
        True,
    ]


def test_after_too_many_failures_a_source_is_not_heard_but_who_is_known_there_is(clock: Clock) -> None:
    sources = Sources(clock)
    sources.admitted(ADDRESS, KEY)
    sources.admitted(NEIGHBOUR, OTHER_KEY)
    for _ in range(MOST):
        assert sources.may_authenticate(ADDRESS, OTHER_KEY)
        sources.failed(ADDRESS, OTHER_KEY)
    assert not sources.may_authenticate(ADDRESS, OTHER_KEY)
    assert not sources.may_authenticate(ADDRESS, "")
    assert sources.may_authenticate(ADDRESS, KEY)
    assert sources.may_authenticate(NEIGHBOUR, OTHER_KEY)


def test_a_known_key_that_fails_too_often_is_not_heard_either(clock: Clock) -> None:
    sources = Sources(clock)
    sources.admitted(ADDRESS, KEY)
    for _ in range(MOST):
        assert sources.may_authenticate(ADDRESS, KEY)
        sources.failed(ADDRESS, KEY)
    assert not sources.may_authenticate(ADDRESS, KEY)


def test_the_refusals_of_so_many_sources_are_remembered_the_latest(clock: Clock) -> None:
    sources = Sources(clock, may_waste=2, remembered=1)
    source = source_of(ADDRESS)
    for _ in range(MAY_BE_REFUSED + 1):
        assert sources.admits(source)
        sources.refused(ADDRESS)
    # The last one has cost it a connection; the next one does not, as those before are forgotten.
    sources.refused(NEIGHBOUR)
    assert sources.admits(source)
    sources.refused(ADDRESS)
    assert sources.admits(source)


def test_the_networks_of_a_source_go_from_the_largest_to_itself() -> None:
    assert prefixes_of("192.0.2.7") == ("192.0", "192.0.2", "192.0.2.7")
    site = source_of("2001:db8:1:203::1")
    assert prefixes_of(site) == tuple(bytes.fromhex("20010db800010203")[:size] for size in (4, 6, 7, 8))
