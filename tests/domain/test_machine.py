"""Whether one more machine may join by a token, and how the tokens look."""

from datetime import UTC, datetime, timedelta

import pytest

from hatchway.domain.bearer_token import BearerToken
from hatchway.domain.machine import JOIN_TOKEN, MACHINE_TOKEN, JoinToken, Role

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("uses", "seconds", "usable"), [(0, 1, True), (1, 1, True), (2, 1, False), (0, 0, False), (0, -1, False)]
)
def test_a_token_is_good_for_so_many_machines_until_it_expires(uses: int, seconds: int, usable: bool) -> None:
    token = JoinToken(
        id="jt-0",
        role=Role.GATEWAY,
        max_uses=2,
        uses=uses,
        created_by="root",
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=seconds),
    )
    assert token.usable(NOW) is usable


def test_neither_token_can_be_taken_for_the_other() -> None:
    join = JOIN_TOKEN.write(BearerToken("jt-0123456789abcdef0", bytes(32)))
    machine = MACHINE_TOKEN.write(BearerToken("m-0123456789abcdef0", bytes(32)))
    assert (join[:24], machine[:23]) == ("hwj_jt-0123456789abcdef0", "hwm_m-0123456789abcdef0")
