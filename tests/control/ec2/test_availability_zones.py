"""The region, its zones, the account."""

from typing import Any

import pytest
from tests.control.ec2.refusals import refused

from hatchway.control.ec2.documented_filters import DOCUMENTED


def zones(ec2: Any, **asked: Any) -> list[str]:
    return [one["ZoneName"] for one in ec2.describe_availability_zones(**asked)["AvailabilityZones"]]


def test_a_region_has_three_zones_for_everyone(ec2: Any) -> None:
    (first, *_) = ec2.describe_availability_zones()["AvailabilityZones"]
    assert first == {
        "ZoneName": "us-east-1a",
        "ZoneId": "use1-az1",
        "RegionName": "us-east-1",
        "State": "available",
        "OptInStatus": "opt-in-not-required",
        "ZoneType": "availability-zone",
        "GroupName": "us-east-1-zg-1",
        "GroupLongName": "us-east-1",
        "NetworkBorderGroup": "us-east-1",
        "Messages": [],
    }
    assert zones(ec2) == zones(ec2, AllAvailabilityZones=True) == ["us-east-1a", "us-east-1b", "us-east-1c"]


def test_zones_are_chosen_by_name_id_and_filter(ec2: Any) -> None:
    assert zones(ec2, ZoneNames=["us-east-1b"]) == zones(ec2, ZoneIds=["use1-az2"]) == ["us-east-1b"]
    assert refused(lambda: zones(ec2, ZoneNames=["eu-west-1a"])) == "InvalidParameterValue"
    assert zones(ec2, Filters=[{"Name": "zone-name", "Values": ["*c"]}]) == ["us-east-1c"]
    assert zones(ec2, Filters=[{"Name": "zone-type", "Values": ["local-zone"]}]) == []
    assert zones(ec2, Filters=[{"Name": "parent-zone-id", "Values": ["*"]}]) == []
    assert (
        refused(lambda: zones(ec2, Filters=[{"Name": "colour", "Values": ["x"]}])) == "InvalidParameterValue"
    )
    assert refused(lambda: zones(ec2, Filters=[{"Name": "state", "Values": []}])) == "InvalidParameterValue"


def test_there_is_one_region(ec2: Any) -> None:
    def regions(**asked: Any) -> list[str]:
        return [one["RegionName"] for one in ec2.describe_regions(**asked)["Regions"]]

    assert regions() == regions(AllRegions=True) == regions(RegionNames=["us-east-1"]) == ["us-east-1"]
    assert regions(Filters=[{"Name": "region-name", "Values": ["eu-*"]}]) == []
    assert refused(lambda: regions(RegionNames=["eu-west-1"])) == "InvalidParameterValue"


def test_the_account_has_no_default_vpc(ec2: Any) -> None:
    def attributes(**asked: Any) -> dict[str, str]:
        answer = ec2.describe_account_attributes(**asked)["AccountAttributes"]
        return {one["AttributeName"]: one["AttributeValues"][0]["AttributeValue"] for one in answer}

    assert attributes() == {"supported-platforms": "VPC", "default-vpc": "none"}
    assert attributes(AttributeNames=["default-vpc"]) == {"default-vpc": "none"}


@pytest.mark.parametrize(
    ("operation", "ids", "code"),
    [
        ("describe_route_tables", {"RouteTableIds": ["rtb-1"]}, "InvalidRouteTableID.NotFound"),
        ("describe_network_acls", {"NetworkAclIds": ["acl-1"]}, "InvalidNetworkAclID.NotFound"),
        (
            "describe_internet_gateways",
            {"InternetGatewayIds": ["igw-1"]},
            "InvalidInternetGatewayID.NotFound",
        ),
    ],
)
def test_of_what_only_aws_has_there_is_none(ec2: Any, operation: str, ids: Any, code: str) -> None:
    describe = getattr(ec2, operation)
    action = "".join(part.title() for part in operation.split("_"))
    names = sorted({*DOCUMENTED[action], "tag:a", "tag-key"})
    answer = describe(Filters=[{"Name": name, "Values": ["x"]} for name in names], MaxResults=5)
    assert [value for value in answer.values() if isinstance(value, list)] == [[]]
    assert refused(lambda: describe(**ids)) == code
    assert refused(lambda: describe(Filters=[{"Name": "colour", "Values": ["x"]}])) == "InvalidParameterValue"
    assert refused(lambda: describe(DryRun=True)) == "DryRunOperation"
