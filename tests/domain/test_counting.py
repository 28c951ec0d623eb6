"""Numbers of things, in English."""

from hatchway.domain.counting import counted


def test_one_is_one_and_all_others_are_many() -> None:
    assert [counted(number, "day") for number in (0, 1, 2)] == ["0 days", "1 day", "2 days"]
    assert counted(12345, "more problem") == "12,345 more problems"
