"""The audit trail, looked up as in AWS: by boto3, against one running server."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.audit.false_events import NO_EVENTS
from tests.control.harness import (
    ACCOUNT,
    DEFAULT_GROUP,
    INSTANCE,
    SUBNET,
    VPC,
    Credentials,
    SharedServer,
    World,
    new_world,
)

from hatchway.audit.denials import events_of
from hatchway.domain.account import AuditRecord

MAY_LOOK = {"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}


@pytest.fixture(scope="module")
def story(
    shared_server: SharedServer,
    empty_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
    session: boto3.Session,
) -> Iterator[World]:
    """A world in which something has happened."""
    with new_world(shared_server, empty_database, tmp_path_factory.mktemp("story"), session) as world:
        iam, ec2 = world.client("iam"), world.client("ec2")
        iam.create_user(UserName="carol", Path="/staff/")
        key = iam.create_access_key(UserName="carol")["AccessKey"]
        carol = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        ec2.create_instance_connect_endpoint(SubnetId=SUBNET)
        ec2.describe_instances(InstanceIds=[INSTANCE])
        for _ in range(3):
            with pytest.raises(ClientError):
                world.client("ec2", carol).describe_vpcs()
        yield world


def look_up(world: World, who: Credentials | None = None, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.client("cloudtrail", who).lookup_events(**parameters)
    return found


def by(key: str, value: str) -> dict[str, Any]:
    return {"LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}]}


def names(answer: Mapping[str, Any]) -> list[str]:
    return [event["EventName"] for event in answer["Events"]]


def refusal(world: World, **parameters: Any) -> str:
    client = world.client("cloudtrail", parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        client.lookup_events(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_an_event_is_answered_as_cloudtrail_answers(story: World) -> None:
    (event,) = look_up(story, **by("EventName", "CreateUser"))["Events"]
    whole = json.loads(event.pop("CloudTrailEvent"))
    assert whole in story.events("CreateUser")
    moment = event.pop("EventTime")
    assert moment == datetime.fromisoformat(whole["eventTime"])
    assert event == {
        "EventId": whole["eventID"],
        "EventName": "CreateUser",
        "ReadOnly": "false",
        "AccessKeyId": story.root.access_key_id,
        "EventSource": "iam.amazonaws.com",
        "Username": "root",
        "Resources": [{"ResourceType": "AWS::IAM::User", "ResourceName": "carol"}],
    }


def test_events_come_newest_first_each_once_over_all_pages(story: World) -> None:
    paginator = story.client("cloudtrail").get_paginator("lookup_events")
    before = datetime.now(UTC) - timedelta(hours=1)
    pages = list(paginator.paginate(StartTime=before, PaginationConfig={"PageSize": 2}))
    ids = [event["EventId"] for page in pages for event in page["Events"]]
    # The lookups themselves are events too, later than the first page's token.
    trail = [event["eventID"] for event in reversed(story.events())]
    assert ids == trail[-len(ids) :]
    assert all(len(page["Events"]) <= 2 for page in pages)
    assert len(ids) >= 7
    denied = paginator.paginate(**by("Username", "carol"), PaginationConfig={"PageSize": 2})
    assert [names(page) for page in denied] == [["DescribeVpcs"] * 2, ["DescribeVpcs"]]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("EventName", "DescribeInstances", ["DescribeInstances"]),
        ("EventSource", "iam.amazonaws.com", ["CreateAccessKey", "CreateUser"]),
        ("ReadOnly", "false", ["CreateInstanceConnectEndpoint", "CreateAccessKey", "CreateUser"]),
        ("Username", "carol", ["DescribeVpcs"] * 3),
        ("ResourceName", "carol", ["CreateAccessKey", "CreateUser"]),
        ("ResourceName", f"arn:aws:iam::{ACCOUNT}:user/staff/carol", ["CreateAccessKey", "CreateUser"]),
        ("ResourceName", f"arn:aws:iam::{ACCOUNT}:role/carol", []),
        ("ResourceName", INSTANCE, ["DescribeInstances"]),
        ("ResourceName", SUBNET, ["CreateInstanceConnectEndpoint"]),
        ("ResourceType", "AWS::EC2::Instance", ["DescribeInstances"]),
        ("ResourceType", "AWS::IAM::AccessKey", ["CreateAccessKey"]),
        ("EventName", "describeinstances", []),
        ("Username", "c%", []),
        ("Username", "x" * 2000, []),
    ],
)
def test_events_are_found_by_an_attribute(story: World, key: str, value: str, found: list[str]) -> None:
    assert names(look_up(story, **by(key, value))) == found


def test_events_are_found_by_their_id_and_by_an_access_key(story: World) -> None:
    denied = story.events("DescribeVpcs")
    assert names(look_up(story, **by("EventId", denied[0]["eventID"]))) == ["DescribeVpcs"]
    assert names(look_up(story, **by("EventId", "none"))) == []
    later = denied[0]["eventTime"] and datetime.now(UTC) + timedelta(hours=1)
    assert names(look_up(story, **by("EventId", denied[0]["eventID"]), StartTime=later)) == []
    key_id = denied[0]["userIdentity"]["accessKeyId"]
    assert names(look_up(story, **by("AccessKeyId", key_id))) == ["DescribeVpcs"] * 3


def test_what_an_endpoint_was_made_of_and_became_are_its_event_s_resources(story: World) -> None:
    (event,) = look_up(story, **by("EventName", "CreateInstanceConnectEndpoint"))["Events"]
    resources = {(each["ResourceType"], each["ResourceName"]) for each in event["Resources"]}
    made = json.loads(event["CloudTrailEvent"])["responseElements"]["instanceConnectEndpoint"]
    assert {
        ("AWS::EC2::Subnet", SUBNET),
        ("AWS::EC2::SecurityGroup", DEFAULT_GROUP),
        ("AWS::EC2::VPC", VPC),
        ("AWS::EC2::InstanceConnectEndpoint", made["instanceConnectEndpointId"]),
        ("AWS::EC2::NetworkInterface", made["networkInterfaceIds"][0]),
    } <= resources


def test_times_are_bounds_to_the_second_and_both_within(story: World) -> None:
    (event,) = look_up(story, **by("EventName", "CreateUser"))["Events"]
    at, second = event["EventTime"], timedelta(seconds=1)
    for start, end, there in (
        (at, at, True),
        (at - second, at, True),
        (at, None, True),
        (None, at, True),
        (at + second, None, False),
        (at + timedelta(milliseconds=1), None, False),
        (None, at - second, False),
        (None, at - timedelta(milliseconds=1), False),
    ):
        times = {name: time for name, time in (("StartTime", start), ("EndTime", end)) if time is not None}
        assert bool(look_up(story, **by("EventName", "CreateUser"), **times)["Events"]) is there
    assert refusal(story, StartTime=at, EndTime=at - second) == "InvalidTimeRangeException"
    last = datetime(9999, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert look_up(story, **by("EventName", "CreateUser"), EndTime=last)["Events"]
    assert not look_up(story, StartTime=last)["Events"]


def test_a_lookup_that_cloudtrail_would_refuse_is_refused_in_its_words(story: World) -> None:
    two = [{"AttributeKey": "EventName", "AttributeValue": name} for name in ("CreateUser", "DeleteUser")]
    attributes = "InvalidLookupAttributesException"
    assert refusal(story, LookupAttributes=two) == attributes
    assert refusal(story, **by("Color", "red")) == attributes
    assert refusal(story, **by("EventName", "")) == attributes
    assert refusal(story, **by("EventName", "x" * 2001)) == attributes
    assert refusal(story, LookupAttributes=[{"AttributeKey": "EventName"}]) == attributes
    assert refusal(story, **by("Username", "carol"), EventCategory="insight") == attributes
    assert refusal(story, EventCategory="data") == "InvalidEventCategoryException"
    for size in (0, 51, -1):
        assert refusal(story, MaxResults=size) == "InvalidMaxResultsException"
    assert refusal(story, MaxResults="many") == "SerializationException"
    assert names(look_up(story, EventCategory="insight")) == []


def test_a_token_leads_on_in_its_own_lookup_and_nowhere_else(story: World) -> None:
    lookup = by("Username", "carol")
    token = look_up(story, **lookup, MaxResults=1)["NextToken"]
    assert names(look_up(story, **lookup, NextToken=token)) == ["DescribeVpcs"] * 2
    for other in (
        by("Username", "root"),
        {},
        {**lookup, "StartTime": datetime(2026, 1, 1, tzinfo=UTC)},
        {**lookup, "EndTime": datetime.now(UTC)},
    ):
        assert refusal(story, **other, NextToken=token) == "InvalidNextTokenException"
    altered = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
    for bad in (altered, "", "x", "=" * 2000, token[:20]):
        assert refusal(story, **lookup, NextToken=bad) == "InvalidNextTokenException"


def test_looking_takes_the_permission_and_is_an_event_itself(story: World) -> None:
    nobody, auditor = story.user("nobody"), story.user("auditor", MAY_LOOK)
    with pytest.raises(ClientError) as caught:
        look_up(story, nobody)
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    assert "not authorized to perform: cloudtrail:LookupEvents on resource: *" in error["Message"]
    assert names(look_up(story, auditor, **by("Username", "auditor"))) == []
    (event,) = look_up(story, auditor, **by("Username", "auditor"))["Events"]
    told = json.loads(event["CloudTrailEvent"])
    assert (event["EventName"], event["ReadOnly"], event["EventSource"]) == (
        "LookupEvents", "true", "cloudtrail.amazonaws.com",
    )  # fmt: skip
    assert told["requestParameters"] == {
        "lookupAttributes": [{"attributeKey": "Username", "attributeValue": "auditor"}]
    }
    assert told["responseElements"] is None


def test_no_secret_is_in_the_trail(story: World) -> None:
    key = story.client("iam").create_access_key(UserName="carol")["AccessKey"]
    found = look_up(story, **by("ResourceName", key["AccessKeyId"]))["Events"]
    assert names({"Events": found}) == ["CreateAccessKey"]
    assert key["SecretAccessKey"] not in found[0]["CloudTrailEvent"]
    with suppress(ClientError):
        story.client("iam").delete_access_key(UserName="carol", AccessKeyId=key["AccessKeyId"])


@pytest.mark.parametrize(
    "text", ["no event", "[]", "[" * 100_000, '{"a":' + "9" * 5000 + "}", *NO_EVENTS.values()]
)
def test_a_text_that_is_no_event_hides_no_other(text: str, story: World) -> None:
    """Who has a gateway's role in the database may have entered it, or an older program."""
    now = datetime.now(UTC) + timedelta(days=1)
    false = AuditRecord(
        event_id="false",
        event_time=now,
        event_source="s",
        event_name="n",
        request_id="r-false",
        user_name=None,
        access_key_id=None,
        body=text,
        terms=("Username=carol",),
    )
    carols = look_up(story, **by("Username", "carol"))
    with story.store.record() as tx:
        tx.audit_records.put(false)
    try:
        assert look_up(story)["Events"]
        assert look_up(story, **by("Username", "carol"))["Events"] == carols["Events"]
        with story.store.read() as tx:
            assert [each for each in events_of(tx, "r-false") if each] == []
    finally:
        with story.store.record() as tx:
            tx.audit_records.delete("false")
            tx.audit_records.delete_expired([(now, "false", false.terms)])
