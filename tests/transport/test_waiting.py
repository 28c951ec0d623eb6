"""Who has the next turn, and who a place."""

import pytest

from hatchway.transport.waiting import WaitingRoom


def fill(room: WaitingRoom[str], source: str, waiters: int) -> list[str]:
    """Let so many of a source come; gives those for whom there was no place."""
    without = [room.add(source, f"{source}{number}") for number in range(waiters)]
    return [waiter for waiter in without if waiter is not None]


def drain(room: WaitingRoom[str]) -> list[str]:
    return [room.next() for _ in range(len(room))]


def test_sources_take_turns_however_many_one_of_them_sends() -> None:
    room = WaitingRoom[str](100)
    fill(room, "a", 4)
    fill(room, "b", 2)
    fill(room, "c", 1)
    assert drain(room) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_a_source_that_came_late_waits_for_one_of_each_other() -> None:
    room = WaitingRoom[str](100)
    fill(room, "a", 10)
    assert room.next() == "a0"
    fill(room, "late", 1)
    assert [room.next(), room.next()] == ["a1", "late0"]


def test_one_source_alone_has_half_of_the_places() -> None:
    room = WaitingRoom[str](6)
    assert fill(room, "a", 5) == ["a3", "a4"]
    assert drain(room) == ["a0", "a1", "a2"]


def test_a_source_finds_a_place_in_a_full_room_at_the_cost_of_the_longest_queue() -> None:
    room = WaitingRoom[str](6)
    fill(room, "a", 100)
    fill(room, "b", 100)
    fill(room, "c", 100)
    assert len(room) == 6
    assert room.add("late", "late0") == "a2"
    assert drain(room) == ["a0", "b0", "c0", "late0", "a1", "b1"]


def test_as_many_sources_as_there_are_places_can_wait_and_none_displaces_another() -> None:
    room = WaitingRoom[str](5)
    assert [fill(room, source, 1) for source in "abcde"] == [[]] * 5
    assert fill(room, "f", 1) == ["f0"]
    assert drain(room) == ["a0", "b0", "c0", "d0", "e0"]


def test_nobody_has_a_turn_when_nobody_waits() -> None:
    with pytest.raises(IndexError):
        WaitingRoom[str](5).next()
