"""Managed policies: which version comes next."""

from datetime import UTC, datetime

import pytest

from hatchway.domain.identity import ManagedPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("latest", "present", "expected"),
    [
        (None, [], 1),
        (None, ["v2", "v10"], 11),
        (12, ["v2", "v10"], 13),
        # A program that does not know of the field has made versions meanwhile.
        (2, ["v2", "v10"], 11),
        (3, [], 4),
    ],
)
def test_no_number_of_a_version_is_given_twice(latest: int | None, present: list[str], expected: int) -> None:
    policy = ManagedPolicy(
        arn="arn:aws:iam::123456789012:policy/p", name="p", id="ANPAP", path="/", description="",
        created_at=NOW, updated_at=NOW, default_version="v1", latest_version=latest,
    )  # fmt: skip
    assert policy.next_version(present) == expected
