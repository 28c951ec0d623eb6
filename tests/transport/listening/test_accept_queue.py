"""Who has the next turn, and who a place."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hatchway.transport.listening.accept_queue import AcceptQueue
from hatchway.transport.listening.sources import Source, source_of

# In networks that have nothing in common.
A, B, C, D, LATE = (f"{number}.0.2.1" for number in (10, 20, 30, 40, 50))
NAMES = {A: "a", B: "b", C: "c", D: "d", LATE: "late"}


def fill(queue: AcceptQueue[str], source: str, waiters: int) -> list[str]:
    """Let so many of a source come; gives those for whom there was no place."""
    name = NAMES[source]
    without = [queue.add(source_of(source), f"{name}{number}") for number in range(waiters)]
    return [waiter for waiter in without if waiter is not None]


def drain(queue: AcceptQueue[str]) -> list[str]:
    return [queue.next() for _ in range(len(queue))]


def test_sources_take_turns_however_many_one_of_them_sends() -> None:
    queue = AcceptQueue[str](100)
    fill(queue, A, 4)
    fill(queue, B, 2)
    fill(queue, C, 1)
    assert drain(queue) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_a_source_that_came_late_waits_for_one_of_each_other() -> None:
    queue = AcceptQueue[str](100)
    fill(queue, A, 10)
    assert queue.next() == "a0"
    fill(queue, LATE, 1)
    assert [queue.next(), queue.next()] == ["a1", "late0"]


def test_one_source_alone_may_have_every_place_and_gives_them_up_to_others_from_the_end() -> None:
    queue = AcceptQueue[str](4)
    assert fill(queue, A, 5) == ["a4"]
    assert fill(queue, B, 3) == ["a3", "a2", "b2"]
    assert drain(queue) == ["a0", "b0", "a1", "b1"]


def test_a_source_finds_a_place_in_a_full_queue_at_the_cost_of_the_longest_queue() -> None:
    queue = AcceptQueue[str](6)
    for source in (A, B, C):
        fill(queue, source, 100)
    assert len(queue) == 6
    assert queue.add(LATE, "late0") == "a1"
    assert drain(queue) == ["a0", "b0", "c0", "late0", "b1", "c1"]


def test_as_many_sources_as_there_are_places_can_wait_and_none_displaces_another() -> None:
    queue = AcceptQueue[str](4)
    assert [fill(queue, source, 1) for source in (A, B, C, D)] == [[]] * 4
    assert fill(queue, LATE, 1) == ["late0"]
    assert drain(queue) == ["a0", "b0", "c0", "d0"]


@pytest.mark.parametrize(
    ("attackers", "unknown"),
    [
        ([f"2001:db8:1:{number:x}::1" for number in range(1000)], "2001:db8:2::1"),
        ([f"2001:db8:1:1{number:02x}::1" for number in range(256)], "2001:db8:1:200::1"),
        ([f"2001:db8:{number:x}::1" for number in range(1000)], "2001:db9::1"),
        ([f"192.0.2.{number}" for number in range(1, 255)], "192.0.3.1"),
        ([f"10.7.{number}.1" for number in range(256)], "10.8.0.1"),
    ],
    ids=["of a /48", "of a /56", "of a /32", "of an IPv4 /24", "of an IPv4 /16"],
)
def test_an_unknown_source_is_next_but_one_however_many_sources_a_network_has(
    attackers: list[str], unknown: str
) -> None:
    queue = AcceptQueue[str](100)
    for _ in range(3):
        for address in attackers:
            queue.add(source_of(address), "attacker")
    assert len(queue) == 100
    assert queue.add(source_of(unknown), "unknown") == "attacker"
    assert "unknown" in [queue.next(), queue.next()]


def test_a_neighbour_within_the_same_network_has_every_other_turn_of_it() -> None:
    queue = AcceptQueue[str](100)
    for number in range(200):
        queue.add(source_of(f"2001:db8:1:{number:x}::1"), "attacker")
    queue.add(source_of("2001:db8:1:ff00::1"), "neighbour")
    queue.add(source_of("192.0.2.1"), "somebody")
    assert {queue.next() for _ in range(4)} == {"attacker", "neighbour", "somebody"}


sources = st.builds(
    lambda first, rest: source_of(f"2001:db8:{first:x}:{rest:x}::1"), st.integers(0, 2), st.integers(0, 600)
) | st.builds(lambda second, last: f"10.{second}.0.{last}", st.integers(0, 2), st.integers(0, 3))


@given(st.lists(st.tuples(sources, st.integers(0, 3)), max_size=60), st.integers(1, 12))
def test_nobody_is_lost_or_served_twice_and_the_places_are_kept(
    steps: list[tuple[Source, int]], places: int
) -> None:
    queue = AcceptQueue[int](places)
    came, gone = 0, Counter[int]()
    for source, turns in steps:
        displaced = queue.add(source, came)
        came += 1
        if displaced is not None:
            gone[displaced] += 1
        assert len(queue) <= places
        for _ in range(min(turns, len(queue))):
            gone[queue.next()] += 1
    while queue:
        gone[queue.next()] += 1
    assert gone == Counter(range(came))


def test_a_queue_may_count_as_full_however_few_wait() -> None:
    queue = AcceptQueue[str](100)
    assert queue.add(A, "a0", full=True) == "a0"
    fill(queue, A, 2)
    assert queue.add(A, "a2", full=True) == "a2"
    assert queue.add(B, "b0", full=True) == "a1"
    assert queue.add(C, "c0", full=True) == "c0"
    assert drain(queue) == ["a0", "b0"]


def test_nobody_has_a_turn_when_nobody_waits() -> None:
    with pytest.raises(IndexError):
        AcceptQueue[str](5).next()
