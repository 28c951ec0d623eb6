"""Policies that were parsed are kept, as many as there is room for."""

from hatchway.access.parsed_policies import ParsedPolicies
from hatchway.access.stored_policies import TRUSTS_NOBODY
from hatchway.iam import Policy

ROOM = 1000


def noting(most: int = ROOM) -> tuple[ParsedPolicies, list[str]]:
    """With what is parsed, by name."""
    parsed = list[str]()

    def parse(_document: str, name: str) -> Policy:
        parsed.append(name)
        return TRUSTS_NOBODY

    return ParsedPolicies(parse, most), parsed


def test_a_policy_is_parsed_once_and_another_document_or_name_by_itself() -> None:
    policies, parsed = noting()
    for document, name in (("x", "a"), ("x", "a"), ("y", "a"), ("x", "b"), ("x", "a")):
        assert policies(document, name) is TRUSTS_NOBODY
    assert parsed == ["a", "a", "b"]
    assert len(policies) == 3


def test_of_long_documents_fewer_are_kept_and_those_that_were_asked_for_last() -> None:
    policies, parsed = noting()
    long = "x" * 399
    policies(long, "a")
    policies(long, "b")
    assert len(policies) == 2, "each takes 399 + 1 + 100"
    policies(long, "a")
    policies(long, "c")
    assert len(policies) == 2
    for name in ("c", "a", "b"):
        policies(long, name)
    assert parsed == ["a", "b", "c", "b"]


def test_many_short_ones_are_bounded_too() -> None:
    policies, _ = noting()
    for number in range(100):
        policies("", str(number % 10) * 2)
        policies("", f"{number:02}")
    assert len(policies) == 9


def test_one_for_which_there_is_no_room_takes_nobody_s_place() -> None:
    policies, parsed = noting()
    policies("x", "a")
    policies("x" * 900, "b")
    assert len(policies) == 1
    policies("x", "a")
    assert parsed == ["a", "b"]
    policies("x" * 899, "c")
    assert len(policies) == 1
    policies("x" * 899, "c")
    assert parsed == ["a", "b", "c"]


def test_one_that_two_threads_parse_at_once_is_counted_once() -> None:
    before = list[str]()

    def nested(document: str, name: str) -> Policy:
        if not before:
            before.append(name)
            policies(document, name)
        return TRUSTS_NOBODY

    policies = ParsedPolicies(nested, ROOM)
    policies("x" * 399, "a")
    policies("x" * 399, "b")
    assert len(policies) == 2


def test_when_they_are_cleared_there_is_room_for_as_many_again() -> None:
    policies, parsed = noting()
    for _ in range(2):
        policies("x" * 399, "a")
        policies("x" * 399, "b")
        assert len(policies) == 2
        policies.clear()
        assert len(policies) == 0
    assert parsed == ["a", "b"] * 2
