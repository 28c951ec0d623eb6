"""Whether one more host may register by a token."""

from datetime import UTC, datetime, timedelta

import pytest

from hatchway.domain.enrollment_token import EnrollmentToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("uses", "seconds", "usable"), [(0, 1, True), (1, 1, True), (2, 1, False), (0, 0, False), (0, -1, False)]
)
def test_a_token_is_good_for_so_many_hosts_until_it_expires(uses: int, seconds: int, usable: bool) -> None:
    token = EnrollmentToken(
        id="et-0",
        token_hash=b"hash",
        subnet_id="subnet-a",
        security_group_ids=(),
        tags={},
        max_uses=2,
        uses=uses,
        created_by="arn",
        created_at=NOW,
        expires_at=NOW + timedelta(seconds=seconds),
    )
    assert token.usable(NOW) is usable
    assert "hash" not in repr(token).replace("token_hash", "")
