"""The id that is meant by its beginning."""

import pytest

from hatchway.client.api.ids import is_whole, only_one, whole_id
from hatchway.client.errors import NotFound

WHOLE = "tun-0123456789abcdef0"


def test_a_whole_id_and_what_is_none_are_not_asked_about() -> None:
    assert is_whole(WHOLE)
    assert not is_whole(WHOLE[:-1])
    for text in (WHOLE, "office/web", "subnet-*", "", "i-1"):
        assert whole_id(None, text) == text


def test_the_beginning_of_one_id_means_it() -> None:
    assert only_one("tun-0", [WHOLE, "tun-1", WHOLE]) == WHOLE


def test_an_id_that_another_begins_with_means_itself() -> None:
    assert only_one("a-1", ["a-1", "a-12"]) == "a-1"


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([], "nothing has an id that begins with 'a-'"),
        (["a-2", "a-1"], "'a-' may be any of 2, a-1, a-2: write more of it"),
        ([f"a-{number}" for number in range(9)], "a-3, a-4, 4 more: write more of it"),
    ],
)
def test_what_is_not_one_is_told(ids: list[str], said: str) -> None:
    with pytest.raises(NotFound) as caught:
        only_one("a-", ids)
    assert said in str(caught.value)
