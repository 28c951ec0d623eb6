"""Whether a machine has finished joining, and how its tokens look."""

from datetime import UTC, datetime, timedelta

import pytest

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.machine import JOIN_TOKEN, MACHINE_TOKEN, KeyState, Machine, Role

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "finished"), [(0, False), (1, True)])
def test_a_machine_has_finished_joining_when_it_has_come_back(seconds: int, finished: bool) -> None:
    machine = Machine(
        id="m-0",
        name="gw",
        role=Role.GATEWAY,
        names=(),
        joined_at=NOW,
        seen_at=NOW + timedelta(seconds=seconds),
        seen_from="192.0.2.1",
    )
    assert machine.finished is finished


STEPS = [("former",), ("former", "next"), ("next", "former"), ("next",)]
"""What there is of a key after each step of its rotation, the one that seals first."""


@pytest.mark.parametrize("behind", range(4))
def test_who_is_a_step_of_a_rotation_behind_gets_on_with_the_others_and_nobody_else(behind: int) -> None:
    suited = [
        KeyState(kind="gateway", key_ids=there).suits(STEPS[step - behind])
        for step, there in enumerate(STEPS)
        if step >= behind
    ]
    assert suited == [behind < 2] * len(suited)
    assert not KeyState(kind="gateway", key_ids=("another", "next")).suits(STEPS[2])


def test_neither_token_can_be_taken_for_the_other() -> None:
    join = JOIN_TOKEN.write(BearerToken("jt-0123456789abcdef0", bytes(32)))
    machine = MACHINE_TOKEN.write(BearerToken("m-0123456789abcdef0", bytes(32)))
    assert (join[:24], machine[:23]) == ("hwj_jt-0123456789abcdef0", "hwm_m-0123456789abcdef0")
