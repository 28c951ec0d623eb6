"""The condition keys of requests: those that every one carries, and those of what it is about."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hatchway.access.context import (
    CHANGING_KEYS,
    Origin,
    completed_keys,
    completed_tags,
    request_keys,
    request_tag_keys,
    resource_tag_keys,
    service_keys,
    supposed_keys,
    tag_readings,
)
from hatchway.iam.global_keys import CONSTANT_KEYS

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


def test_a_request_tells_from_where_how_and_to_which_region_it_came() -> None:
    keys = request_keys(ORIGIN, now=datetime(2026, 1, 1, tzinfo=UTC), region="us-east-1")

    assert keys["aws:SourceIp"] == "198.51.100.7"
    assert keys["aws:SecureTransport"] == "true"
    assert keys["aws:RequestedRegion"] == "us-east-1"
    assert keys.items() >= CONSTANT_KEYS.items()
    plain = request_keys(ORIGIN._replace(secure=False), now=datetime(2026, 1, 1, tzinfo=UTC), region="r")
    assert plain["aws:SecureTransport"] == "false"


def test_a_request_carries_these_keys_and_no_others() -> None:
    assert request_keys(ORIGIN, now=datetime(2026, 1, 1, tzinfo=UTC), region="us-east-1") == {
        "aws:SourceIp": "198.51.100.7",
        "aws:CurrentTime": "2026-01-01T00:00:00Z",
        "aws:EpochTime": "1767225600",
        "aws:SecureTransport": "true",
        "aws:UserAgent": "cli",
        "aws:RequestedRegion": "us-east-1",
        **CONSTANT_KEYS,
    }


VPC = "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"
EC2 = {"aws:RequestedRegion": "us-east-1", "ec2:Region": "us-east-1"}
ACCOUNT = {"aws:PrincipalAccount": "123456789012", "aws:ResourceAccount": "123456789012"}
ALWAYS = {"aws:SecureTransport": "true", **CONSTANT_KEYS}


@pytest.mark.parametrize(
    ("action", "resource", "told", "keys"),
    [
        ("ec2:DescribeVpcs", VPC, {}, {**ALWAYS, **EC2, **ACCOUNT}),
        ("EC2:DescribeVpcs", VPC, {}, {**ALWAYS, **EC2, **ACCOUNT}),
        (
            "iam:GetUser",
            "arn:aws:iam::123456789012:user/a",
            {"region": "us-east-1"},
            {**ALWAYS, **ACCOUNT, "aws:RequestedRegion": "us-east-1"},
        ),
        ("iam:GetUser", "arn:aws:iam::123456789012:user/a", {}, {**ALWAYS, **ACCOUNT}),
        ("ec2:DescribeVpcs", "arn:aws:ec2:us-east-1:123456789012:x:y:z", {}, {**ALWAYS, **EC2, **ACCOUNT}),
        ("ec2:DescribeVpcs", "arn:aws:ec2:us-east-1", {}, {**ALWAYS, **EC2}),
        (
            "ec2:DescribeVpcs",
            "arn:aws:ec2:eu-west-1:210987654321:vpc/vpc-1",
            {"account": "123456789012", "region": "us-east-1"},
            {**ALWAYS, **EC2, **ACCOUNT},
        ),
        ("ec2:DescribeVpcs", "*", {}, ALWAYS),
        (
            "ec2:DescribeVpcs",
            "*",
            {"account": "210987654321"},
            {**ALWAYS, "aws:PrincipalAccount": "210987654321"},
        ),
        (
            "iam:ListUsers",
            "*",
            {"now": datetime(2026, 1, 1, tzinfo=UTC)},
            {**ALWAYS, "aws:CurrentTime": "2026-01-01T00:00:00Z", "aws:EpochTime": "1767225600"},
        ),
    ],
)
def test_of_a_request_in_question_there_is_supposed_what_its_resource_and_caller_tell(
    action: str, resource: str, told: dict[str, Any], keys: dict[str, str]
) -> None:
    assert supposed_keys(action, resource, **told) == keys


def test_requests_to_ec2_carry_the_region_under_ec2s_own_key_too() -> None:
    assert service_keys("ec2", "us-east-1") == {"ec2:Region": "us-east-1"}
    assert service_keys("iam", "us-east-1") == {}


def test_what_is_told_stands_before_what_is_supposed_whatever_the_case_of_its_key() -> None:
    told = {"AWS:SourceIp": "10.0.0.1"}

    assert completed_keys(told, {"aws:SourceIp": "10.0.0.2", "aws:UserAgent": "x"}) == {
        "AWS:SourceIp": "10.0.0.1",
        "aws:UserAgent": "x",
    }


def test_a_resources_tags_have_a_key_of_aws_and_one_of_ec2() -> None:
    assert resource_tag_keys({"env": "dev"}) == {"aws:ResourceTag/env": "dev", "ec2:ResourceTag/env": "dev"}
    assert resource_tag_keys({}) == {}


def test_tags_are_completed_by_others_for_keys_that_they_lack_in_any_case() -> None:
    assert completed_tags({"env": "dev"}, {"Env": "prod", "team": "web"}) == {"env": "dev", "team": "web"}


def test_tags_that_agree_are_one_reading_and_tags_that_do_not_are_two() -> None:
    assert tag_readings({"env": "dev"}, {"env": "dev"}) == [{"env": "dev"}]
    assert tag_readings({"env": "dev"}, {"team": "web"}) == [{"env": "dev", "team": "web"}]
    assert tag_readings({"env": "dev"}, {"env": "prod", "team": "web"}) == [
        {"env": "dev", "team": "web"},
        {"env": "prod", "team": "web"},
    ]


def test_a_call_that_gives_tags_has_a_key_for_each_and_one_for_their_keys() -> None:
    assert request_tag_keys({"env": "dev", "team": "web"}) == {
        "aws:RequestTag/env": "dev",
        "aws:RequestTag/team": "web",
        "aws:TagKeys": ("env", "team"),
    }
    assert request_tag_keys({}) == {}


def test_what_comes_again_at_another_time_differs_in_the_keys_that_are_said_to_change_alone() -> None:
    moments = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC))
    one, other = (request_keys(ORIGIN, now=moment, region="r") for moment in moments)
    assert {key.lower() for key in one if one[key] != other[key]} == CHANGING_KEYS
    assert one.keys() == other.keys()
