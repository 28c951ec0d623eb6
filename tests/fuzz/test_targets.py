"""The fuzz targets hold on their seeds, on changes of these that are always the same, and on long input.

`make fuzz` looks further. This keeps each target in working order.
"""

from __future__ import annotations

import time
from random import Random
from typing import TYPE_CHECKING

import pytest
from fuzz.draws import Draws, mutated
from fuzz.targets import NAMES, Target

if TYPE_CHECKING:
    from collections.abc import Callable

_CHANGES = {"api_calls": 100, "policy": 100}
"""How many changed inputs a target is given, when not 300: these take longer over one."""
_MOST_SEEDS = 400

_LENGTH, _TIMES = 300, 8
"""A size, and by how much it is multiplied."""
_MOST_GROWTH = 24
"""Between the 8 that linear work takes and the 64 that quadratic work does."""
_CHEAP = 0.002
"""Seconds below which a measurement says nothing of what it measures."""


@pytest.mark.parametrize("name", NAMES)
def test_a_target_holds_on_its_seeds_and_on_changes_of_them(name: str) -> None:
    target = Target(name)
    seeds = list(target.seeds())
    assert seeds
    random = Random(name)
    changed = [mutated(random.choice(seeds), random) for _ in range(_CHANGES.get(name, 300))]
    for data in [*seeds[:_MOST_SEEDS], *changed, b""]:
        try:
            target.one_input(data)
        except Exception as problem:
            raise AssertionError(f"{name} fails on {data!r}") from problem


@pytest.mark.parametrize("name", NAMES)
def test_what_a_parser_does_grows_with_its_input_and_no_faster(name: str) -> None:
    target = Target(name)
    small, large = target.growing(_LENGTH), target.growing(_LENGTH * _TIMES)
    slow = {}
    for what, work in large.items():
        # The best of several: what else the machine does only ever adds.
        once, longer = _seconds(small[what]), _seconds(work)
        if longer / max(once, _CHEAP) > _MOST_GROWTH:
            slow[what] = (once, longer)
    assert not slow


def test_quadratic_work_would_be_noticed() -> None:
    def work(size: int) -> Callable[[], object]:
        # Enough of it to say something on a fast machine too.
        return lambda: [sum(range(size)) for _ in range(_TIMES * size)]

    once, longer = _seconds(work(_LENGTH)), _seconds(work(_LENGTH * _TIMES))
    assert longer / max(once, _CHEAP) > _MOST_GROWTH


def test_draws_are_the_same_for_the_same_bytes_and_end_with_them() -> None:
    def drawn(draws: Draws) -> list[object]:
        return [
            draws.below(10),
            draws.text(5),
            draws.one_of("abc"),
            draws.octets(3),
            draws.below(1000),
            draws.rest(),
        ]

    assert drawn(Draws(b"some bytes of an input")) == drawn(Draws(b"some bytes of an input"))
    assert drawn(Draws(b"")) == [0, "", "a", b"", 0, b""]


def _seconds(work: Callable[[], object]) -> float:
    """CPU seconds, the least of three."""

    def once() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return min(once() for _ in range(3))
