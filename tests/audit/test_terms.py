"""What an event is found by."""

from typing import Any

import pytest

from hatchway.audit.terms import LONGEST_VALUE, MOST_RESOURCES, Resource, resources_of, terms_of, user_name_of

ROLE = "arn:aws:sts::123456789012:assumed-role/on-call/alice"


def event(**more: Any) -> dict[str, Any]:
    return {
        "eventName": "DeleteUser",
        "eventSource": "iam.amazonaws.com",
        "readOnly": False,
        "userIdentity": {"type": "IAMUser", "userName": "alice", "accessKeyId": "AKIAALICE"},
        **more,
    }


def test_an_event_is_found_by_each_of_its_attributes() -> None:
    bob = {"type": "AWS::IAM::User", "ARN": "arn:aws:iam::123456789012:user/staff/bob"}
    assert terms_of(event(resources=[bob, bob])) == (
        "EventName=DeleteUser",
        "EventSource=iam.amazonaws.com",
        "ReadOnly=false",
        "Username=alice",
        "AccessKeyId=AKIAALICE",
        "ResourceType=AWS::IAM::User",
        "ResourceName=bob",
    )


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "Root", "arn": "arn:aws:iam::123456789012:root"}, "root"),
        ({"type": "Root", "userName": "os-user/alice"}, "os-user/alice"),
        ({"type": "AssumedRole", "arn": ROLE}, "alice"),
        ({"type": "AssumedRole"}, None),
        ({"type": "Unknown", "accessKeyId": "AKIAX"}, None),
    ],
)
def test_a_caller_is_named_as_cloudtrail_names_it(identity: dict[str, str], name: str | None) -> None:
    assert user_name_of(event(userIdentity=identity)) == name
    assert any(term.startswith("Username=") for term in terms_of(event(userIdentity=identity))) is bool(name)


def test_ids_in_what_was_asked_and_answered_are_resources_but_not_in_texts_of_the_caller_s() -> None:
    asked = {
        "resourcesSet": {"items": [{"resourceId": "vpc-0000000000000000a"}]},
        "tags": [{"key": "k", "value": "i-0000000000000000a"}],
        "description": "subnet-0000000000000000a",
        "vpcId": "vpc-0000000000000000a",
        "groupIds": ["sg-0000000000000000a", "not an id", 7],
    }
    answered = {"accessKey": {"accessKeyId": "AKIAABCDEFGHIJKLMNOP", "userName": "i-0000000000000000b"}}
    assert resources_of(event(requestParameters=asked, responseElements=answered)) == (
        Resource("AWS::EC2::VPC", "vpc-0000000000000000a"),
        Resource("AWS::EC2::SecurityGroup", "sg-0000000000000000a"),
        Resource("AWS::IAM::AccessKey", "AKIAABCDEFGHIJKLMNOP"),
    )
    assert resources_of(event(requestParameters=None)) == ()


def test_terms_are_bounded_in_size_and_number() -> None:
    many = [f"i-{number:017x}" for number in range(500)]
    terms = terms_of(event(eventName="x" * 5000, requestParameters={"instanceIds": many}))
    assert len([each for each in terms if each.startswith("ResourceName=")]) == MOST_RESOURCES
    assert max(map(len, terms)) == LONGEST_VALUE + len("EventName=")
