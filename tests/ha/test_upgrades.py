"""Which programs of before `make upgrades` tries."""

import pytest
from tests.ha.history import Earlier
from tests.ha.upgrades import chosen

FOUND = [
    Earlier("0001", "aaa"),
    Earlier("0028", "bbb", "0.1.0"),
    Earlier("0033", "ccc"),
    Earlier("9999", "ddd"),
]


def test_those_since_the_first_release_are_tried_but_none_of_a_newer_schema() -> None:
    assert chosen(FOUND, []) == FOUND[1:3]
    assert chosen(FOUND, [], since="0030") == FOUND[2:3]


def test_those_that_are_named_are_tried_by_schema_release_or_commit() -> None:
    assert chosen(FOUND, ["ddd", "0.1.0", "0001"]) == [FOUND[0], FOUND[1], FOUND[3]]


def test_a_name_that_no_program_of_before_has_is_told_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match=r"that is 0034: choose from 0001 \(aaa\), 0028 \(0\.1\.0\)"):
        chosen(FOUND, ["0033", "0034"])
