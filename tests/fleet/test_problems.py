"""Problems of a file, as they are gathered and told."""

import pytest

from hatchway.fleet.problems import MOST_PROBLEMS, BadFleet, Problem, Problems, quoted, suggestion


def test_a_problem_is_told_with_its_place_if_it_has_one() -> None:
    assert str(Problem("users.alice", "is wrong")) == "users.alice: is wrong"
    assert str(Problem("", "is wrong")) == "is wrong"


def test_a_refusal_tells_each_problem_once_in_order_and_at_most_a_hundred() -> None:
    problems = [Problem(f"p{number}", "is wrong") for number in range(150)]
    refusal = BadFleet([*problems, problems[0]])
    assert refusal.problems == tuple(problems)
    lines = str(refusal).splitlines()
    assert lines[:2] == ["p0: is wrong", "p1: is wrong"]
    assert (len(lines), lines[-1]) == (101, "and 50 more problems")


def test_problems_are_raised_when_there_are_some() -> None:
    problems = Problems()
    problems.raise_any()
    problems.add("p", "is wrong")
    assert len(problems) == 1
    with pytest.raises(BadFleet, match="p: is wrong"):
        problems.raise_any()


def test_a_value_is_quoted_on_one_line_and_shortened() -> None:
    assert quoted("a\nb") == "'a\\nb'"
    assert quoted("x" * 100) == f"'{'x' * 79}…"


def test_a_known_word_that_is_near_is_suggested() -> None:
    assert suggestion("vpc", ["vpcs", "users"]) == " (did you mean 'vpcs'?)"
    assert suggestion("colour", ["vpcs", "users"]) == ""


def test_what_has_too_many_problems_is_read_no_further() -> None:
    problems = Problems()
    with pytest.raises(BadFleet) as caught:
        for number in range(MOST_PROBLEMS + 1):
            problems.add(f"p{number}", "is wrong")
    assert len(caught.value.problems) == MOST_PROBLEMS + 1
    assert caught.value.problems[-1].message == "there are so many problems that the rest is not read"
