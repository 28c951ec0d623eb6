"""Leadership, feed and lease hold in every state that small ones can get into, and the models can fail."""

import os
from functools import partial

import pytest
from tests.ha import carrying, following, leading
from tests.ha.explore import Broken, explore

MORE = int(os.environ.get("HATCHWAY_MODEL_DEPTH", "0"))
"""So many steps more than in the ordinary run of tests."""


def test_one_process_leads_at_a_time() -> None:
    assert explore(leading.beginning(2), leading.steps, leading.one_leads, 9 + MORE) > 500


@pytest.mark.parametrize("loses", [False, True])
def test_nobody_writes_as_the_leader_while_another_leads(loses: bool) -> None:
    steps = partial(leading.steps, loses=loses)
    assert explore(leading.beginning(2), steps, leading.who_writes_leads, 8 + MORE) > 500


def test_the_model_finds_a_leader_that_only_looks_before_it_writes() -> None:
    steps = partial(leading.steps, holds_row=False)
    with pytest.raises(Broken, match="writes while b leads"):
        explore(leading.beginning(2), steps, leading.who_writes_leads, 9)


def test_who_follows_enforces_what_is_there_though_the_store_goes_back() -> None:
    states = explore(following.beginning(), following.steps, following.enforces_what_is_there, 5 + MORE)
    assert states > 500


def test_the_model_finds_a_follower_that_goes_by_numbers_alone() -> None:
    steps = partial(following.steps, by_mark=False)
    with pytest.raises(Broken, match="takes over"):
        explore(following.beginning(), steps, following.enforces_what_is_there, 7)


@pytest.mark.parametrize(
    "holds",
    [carrying.none_is_open_that_was_entered_as_ended, carrying.has_one_end],
    ids=lambda each: each.__name__,
)
def test_no_tunnel_is_open_that_was_entered_as_ended(holds: object) -> None:
    assert callable(holds)
    assert explore(carrying.Carrying(), carrying.steps, holds, 16 + MORE) > 500


def test_the_model_finds_a_gateway_that_is_out_of_touch_for_too_long() -> None:
    steps = partial(carrying.steps, uncertain=90.0)
    with pytest.raises(Broken, match="entered as ended"):
        explore(carrying.Carrying(), steps, carrying.none_is_open_that_was_entered_as_ended, 20)
