"""DescribeInstanceTypes, and the type of an instance."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import INSTANCE, STOPPED_INSTANCE, World

TYPES = [f"rack.{number}" for number in range(7)]


@pytest.fixture(scope="module", autouse=True)
def typed(account: World) -> Iterator[None]:
    with account.store.write() as tx:
        stopped = tx.instances.get(STOPPED_INSTANCE)
        assert stopped is not None
        tx.instances.put(*(replace(stopped, id=f"i-{number:017x}", instance_type=name)
                           for number, name in enumerate([*TYPES, TYPES[0]], 100)))  # fmt: skip
    yield


def names(ec2: Any, **asked: Any) -> list[str]:
    return [one["InstanceType"] for one in ec2.describe_instance_types(**asked)["InstanceTypes"]]


def test_the_types_are_those_of_the_instances_and_that_of_the_others(ec2: Any) -> None:
    assert names(ec2) == ["hatchway.host", *TYPES]
    paginator = ec2.get_paginator("describe_instance_types")
    pages = list(paginator.paginate(PaginationConfig={"PageSize": 5}))
    assert [[one["InstanceType"] for one in page["InstanceTypes"]] for page in pages] == [
        ["hatchway.host", *TYPES[:4]],
        TYPES[4:],
    ]


def test_types_are_chosen_by_name_and_filter(ec2: Any) -> None:
    assert names(ec2, InstanceTypes=[TYPES[3], "hatchway.host"]) == ["hatchway.host", TYPES[3]]
    assert refused(lambda: names(ec2, InstanceTypes=["t3.micro", TYPES[0]])) == "InvalidInstanceType"
    assert names(ec2, Filters=[{"Name": "instance-type", "Values": ["rack.?"]}]) == TYPES
    assert names(ec2, Filters=[{"Name": "bare-metal", "Values": ["true"]}]) == []
    unknown = [{"Name": "colour", "Values": ["red"]}]
    assert refused(lambda: names(ec2, Filters=unknown)) == "InvalidParameterValue"


def test_an_instance_tells_its_type_and_is_found_by_it(ec2: Any) -> None:
    def found(name: str) -> list[str]:
        answer = ec2.describe_instances(Filters=[{"Name": "instance-type", "Values": [name]}])
        instances = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
        assert {one["InstanceType"] for one in instances} <= {name}
        return [one["InstanceId"] for one in instances]

    assert found("hatchway.host") == [INSTANCE, STOPPED_INSTANCE]
    assert len(found(TYPES[0])) == 2
