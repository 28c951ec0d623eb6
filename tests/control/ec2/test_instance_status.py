"""DescribeInstanceStatus and DescribeInstanceAttribute."""

from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import ARNS, INSTANCE, SSH_GROUP, STOPPED_INSTANCE, World

from hatchway.protocol import load_service


def statuses(ec2: Any, **asked: Any) -> list[str]:
    return [one["InstanceId"] for one in ec2.describe_instance_status(**asked)["InstanceStatuses"]]


def test_a_running_instance_is_told_to_be_well(ec2: Any) -> None:
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[INSTANCE])
    ec2.get_waiter("system_status_ok").wait(InstanceIds=[INSTANCE])
    (told,) = ec2.describe_instance_status()["InstanceStatuses"]
    well = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
    assert told == {
        "InstanceId": INSTANCE,
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "InstanceState": {"Code": 16, "Name": "running"},
        "InstanceStatus": well,
        "SystemStatus": well,
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [INSTANCE]),
        ({"IncludeAllInstances": True}, [INSTANCE, STOPPED_INSTANCE]),
        ({"InstanceIds": [STOPPED_INSTANCE]}, []),
        ({"InstanceIds": [STOPPED_INSTANCE], "IncludeAllInstances": True}, [STOPPED_INSTANCE]),
        ({"instance-status.status": "ok"}, [INSTANCE]),
        ({"instance-status.status": "not-applicable"}, [STOPPED_INSTANCE]),
        ({"system-status.reachability": "passed"}, [INSTANCE]),
        ({"instance-state-code": "80"}, [STOPPED_INSTANCE]),
        ({"availability-zone-id": "use1-az1"}, [INSTANCE, STOPPED_INSTANCE]),
        ({"event.code": "*"}, []),
    ],
)
def test_instances_are_chosen_by_id_state_and_filter(
    ec2: Any, asked: dict[str, Any], expected: list[str]
) -> None:
    if asked and all(name[0].islower() for name in asked):
        filters = [{"Name": name, "Values": [value]} for name, value in asked.items()]
        asked = {"Filters": filters, "IncludeAllInstances": True}
    assert statuses(ec2, **asked) == expected


def test_what_is_not_there_is_refused(ec2: Any) -> None:
    absent = ["i-0000000000000000f"]
    assert refused(lambda: statuses(ec2, InstanceIds=absent)) == "InvalidInstanceID.NotFound"
    unknown = [{"Name": "vpc-id", "Values": ["x"]}]
    assert refused(lambda: statuses(ec2, Filters=unknown)) == "InvalidParameterValue"


def test_every_attribute_of_the_model_is_told(ec2: Any) -> None:
    names = load_service("ec2").model.shape_for("InstanceAttributeName").enum
    told = {name: ec2.describe_instance_attribute(InstanceId=INSTANCE, Attribute=name) for name in names}
    assert {answer["InstanceId"] for answer in told.values()} == {INSTANCE}
    assert told["groupSet"]["Groups"] == [{"GroupId": SSH_GROUP, "GroupName": "ssh-in"}]
    assert told["instanceType"]["InstanceType"] == {"Value": "hatchway.host"}
    assert told["disableApiTermination"]["DisableApiTermination"] == {"Value": False}
    assert told["userData"].get("UserData", {}) == {}
    absent = {"InstanceId": "i-0000000000000000f", "Attribute": "userData"}
    assert refused(lambda: ec2.describe_instance_attribute(**absent)) == "InvalidInstanceID.NotFound"


def test_who_reads_an_attribute_is_judged_by_the_instance(account: World) -> None:
    credentials = account.user(
        "reader",
        {
            "Effect": "Allow",
            "Action": "ec2:DescribeInstanceAttribute",
            "Resource": ARNS.instance("*"),
            "Condition": {"StringEquals": {"ec2:ResourceTag/env": "dev"}},
        },
    )
    mine = account.client("ec2", credentials)
    mine.describe_instance_attribute(InstanceId=INSTANCE, Attribute="userData")
    other = {"InstanceId": STOPPED_INSTANCE, "Attribute": "userData"}
    assert refused(lambda: mine.describe_instance_attribute(**other)) == "UnauthorizedOperation"
