"""The condition keys that every request carries."""

from datetime import UTC, datetime, timedelta, timezone

from hatchway.access.context import Origin, request_keys
from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.iam import PolicySet

ORIGIN = Origin(source_ip="198.51.100.7", user_agent="cli", secure=True)


def times(now: datetime) -> tuple[object, object]:
    keys = request_keys(ORIGIN, now=now, region="us-east-1")
    return keys["aws:CurrentTime"], keys["aws:EpochTime"]


def test_the_time_of_a_request_is_in_utc_and_to_the_second() -> None:
    now = datetime(2026, 1, 1, 1, 30, 59, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert times(now) == ("2025-12-31T23:30:59Z", "1767223859")
    assert times(now + timedelta(microseconds=1)) == ("2025-12-31T23:31:00Z", "1767223860")
    assert times(datetime(2026, 1, 1, tzinfo=UTC)) == ("2026-01-01T00:00:00Z", "1767225600")


def test_conditions_see_as_much_of_a_user_agent_as_is_cheap_to_compare() -> None:
    keys = request_keys(
        ORIGIN._replace(user_agent="a" * 1024 + "b"), now=datetime(2026, 1, 1, tzinfo=UTC), region="us-east-1"
    )
    assert keys["aws:UserAgent"] == "a" * 1024


def test_a_caller_has_its_principals_keys_and_tags() -> None:
    principal = Principal(
        arn="arn:aws:iam::123456789012:user/alice",
        account="123456789012",
        type=PrincipalType.USER,
        user_id="AIDAALICE",
        user_name="alice",
        access_key_id="AKIAALICE",
        tags={"Team": "ops"},
    )
    assert Caller(principal, PolicySet()).keys == {
        "aws:PrincipalArn": "arn:aws:iam::123456789012:user/alice",
        "aws:PrincipalAccount": "123456789012",
        "aws:PrincipalType": "User",
        "aws:userid": "AIDAALICE",
        "aws:username": "alice",
        "aws:PrincipalTag/Team": "ops",
    }
