"""VPCs made, changed and deleted."""

from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import ARNS, OTHER_VPC, VPC, World

from hatchway.domain.account import Quotas

INVALID = "InvalidParameterValue"


def make(ec2: Any, cidr: str, **more: Any) -> str:
    return str(ec2.create_vpc(CidrBlock=cidr, **more)["Vpc"]["VpcId"])


def test_a_vpc_is_made_with_tags_and_a_default_group_and_goes_with_it(account: World, ec2: Any) -> None:
    with account.store.read() as tx:
        before = tx.revision()
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "new"}]}]
    made = ec2.create_vpc(CidrBlock="10.50.3.0/16", Ipv6CidrBlock="fd00:50::/56", TagSpecifications=tags)[
        "Vpc"
    ]
    vpc_id = made["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc_id])
    (told,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    assert told == made
    assert (told["CidrBlock"], told["State"], told["Tags"]) == ("10.50.0.0/16", "available", tags[0]["Tags"])
    (group,) = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])[
        "SecurityGroups"
    ]
    assert group["GroupName"] == "default"
    (inside,), (out,) = group["IpPermissions"], group["IpPermissionsEgress"]
    assert [pair["GroupId"] for pair in inside["UserIdGroupPairs"]] == [group["GroupId"]]
    assert (out["IpRanges"], out["Ipv6Ranges"]) == ([{"CidrIp": "0.0.0.0/0"}], [{"CidrIpv6": "::/0"}])
    with account.store.read() as tx:
        assert [vpc.id for vpc in tx.vpcs.since(before)] == [vpc_id]
        assert [one.vpc_id for one in tx.security_groups.since(before)] == [vpc_id]
    ec2.delete_vpc(VpcId=vpc_id)
    assert refused(lambda: ec2.describe_vpcs(VpcIds=[vpc_id])) == "InvalidVpcID.NotFound"
    assert refused(lambda: ec2.delete_vpc(VpcId=vpc_id)) == "InvalidVpcID.NotFound"
    assert not ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])[
        "SecurityGroups"
    ]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "10.60.0.0"}, "InvalidParameterValue"),
        ({"CidrBlock": "fd00::/56"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.60.0.0/29"}, "InvalidVpc.Range"),
        ({"CidrBlock": "127.0.0.0/16"}, "InvalidVpc.Range"),
        ({"CidrBlock": "169.254.0.0/24"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.9.0.0/16", "Ipv6CidrBlock": "64:ff9b::/48"}, "InvalidVpc.Range"),
        ({"CidrBlock": "224.5.0.0/16"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.60.0.0/16", "Ipv6CidrBlock": "fd00:60::/64"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.60.0.0/16", "Ipv6CidrBlock": "fe80::/56"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.0.128.0/20"}, "CidrConflict"),
        ({"CidrBlock": "10.60.0.0/16", "InstanceTenancy": "dedicated"}, "UnsupportedOperation"),
        ({"CidrBlock": "10.60.0.0/16", "AmazonProvidedIpv6CidrBlock": True}, "UnsupportedOperation"),
        ({"CidrBlock": "10.60.0.0/16", "TagSpecifications": [{"ResourceType": "x"}]}, INVALID),
        ({"CidrBlock": "10.60.0.0/16", "DryRun": True}, "DryRunOperation"),
    ],
)  # fmt: skip
def test_what_no_vpc_can_be_is_refused(ec2: Any, asked: dict[str, Any], code: str) -> None:
    assert refused(lambda: ec2.create_vpc(**asked)) == code


def test_a_vpc_that_something_is_in_stays(ec2: Any) -> None:
    assert refused(lambda: ec2.delete_vpc(VpcId=VPC)) == "DependencyViolation"
    vpc_id = make(ec2, "10.51.0.0/16")
    group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc_id)["GroupId"]
    assert refused(lambda: ec2.delete_vpc(VpcId=vpc_id)) == "DependencyViolation"
    ec2.delete_security_group(GroupId=group)
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.51.0.0/24")["Subnet"]["SubnetId"]
    assert refused(lambda: ec2.delete_vpc(VpcId=vpc_id)) == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc_id)


def test_attributes_are_kept_and_told(ec2: Any) -> None:
    def told(name: str) -> Any:
        return ec2.describe_vpc_attribute(VpcId=OTHER_VPC, Attribute=name)

    assert told("enableDnsSupport")["EnableDnsSupport"] == {"Value": True}
    assert told("enableDnsHostnames")["EnableDnsHostnames"] == {"Value": False}
    ec2.modify_vpc_attribute(VpcId=OTHER_VPC, EnableDnsHostnames={"Value": True})
    ec2.modify_vpc_attribute(VpcId=OTHER_VPC, EnableDnsSupport={"Value": False})
    assert told("enableDnsSupport")["EnableDnsSupport"] == {"Value": False}
    assert told("enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    assert told("enableNetworkAddressUsageMetrics")["EnableNetworkAddressUsageMetrics"] == {"Value": False}
    assert refused(lambda: ec2.modify_vpc_attribute(VpcId=OTHER_VPC)) == "MissingParameter"
    both = {"EnableDnsHostnames": {"Value": True}, "EnableDnsSupport": {"Value": True}}
    code = "InvalidParameterCombination"
    assert refused(lambda: ec2.modify_vpc_attribute(VpcId=OTHER_VPC, **both)) == code


def test_ranges_come_and_go_but_for_the_first_and_those_in_use(ec2: Any) -> None:
    vpc_id = make(ec2, "10.52.0.0/16")

    def associate(cidr: str) -> Any:
        return ec2.associate_vpc_cidr_block(VpcId=vpc_id, CidrBlock=cidr)["CidrBlockAssociation"]

    second = associate("10.53.0.0/24")
    six = ec2.associate_vpc_cidr_block(VpcId=vpc_id, Ipv6CidrBlock="fd00:53::/56")["Ipv6CidrBlockAssociation"]
    assert second["CidrBlockState"] == six["Ipv6CidrBlockState"] == {"State": "associated"}
    (told,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
    first, listed = told["CidrBlockAssociationSet"]
    assert listed == second and told["Ipv6CidrBlockAssociationSet"] == [six]
    assert refused(lambda: associate("10.53.0.0/25")) == "CidrConflict"
    assert refused(lambda: associate("10.1.0.0/24")) == "CidrConflict"

    def disassociate(association: Any) -> Any:
        return ec2.disassociate_vpc_cidr_block(AssociationId=association["AssociationId"])

    assert refused(lambda: disassociate(first)) == "OperationNotPermitted"
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.53.0.0/26")["Subnet"]["SubnetId"]
    assert refused(lambda: disassociate(second)) == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    assert disassociate(second)["CidrBlockAssociation"]["CidrBlockState"] == {"State": "disassociated"}
    disassociate(six)
    assert refused(lambda: disassociate(six)) == "InvalidVpcCidrBlockAssociationID.NotFound"
    for number in range(4):
        associate(f"10.53.{number}.0/24")
    assert refused(lambda: associate("10.53.9.0/24")) == "VpcCidrBlockLimitExceeded"
    ec2.delete_vpc(VpcId=vpc_id)


def test_the_quota_of_vpcs_holds(account: World, ec2: Any) -> None:
    made = [make(ec2, f"10.{number}.0.0/16") for number in range(70, 73)]
    assert refused(lambda: make(ec2, "10.73.0.0/16")) == "VpcLimitExceeded"
    for vpc_id in made:
        ec2.delete_vpc(VpcId=vpc_id)
    assert Quotas().vpcs_per_account == 5


def test_who_makes_and_changes_vpcs_is_judged_by_tags_and_attributes(account: World, ec2: Any) -> None:
    credentials = account.user(
        "builder",
        {
            "Effect": "Allow",
            "Action": "ec2:CreateVpc",
            "Resource": ARNS.vpc("*"),
            "Condition": {"StringEquals": {"aws:RequestTag/team": "web"}},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateTags",
            "Resource": "*",
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateVpc"}},
        },
        {
            "Effect": "Allow",
            "Action": ["ec2:ModifyVpcAttribute", "ec2:DeleteVpc", "ec2:DescribeVpcAttribute"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:ResourceTag/team": "web"},
                "StringEqualsIfExists": {"ec2:Attribute": "EnableDnsHostnames"},
            },
        },
    )
    mine = account.client("ec2", credentials)
    denied = "UnauthorizedOperation"
    assert refused(lambda: make(mine, "10.80.0.0/16")) == denied
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "web"}]}]
    vpc_id = make(mine, "10.80.0.0/16", TagSpecifications=tags)
    mine.modify_vpc_attribute(VpcId=vpc_id, EnableDnsHostnames={"Value": True})
    change = {"VpcId": vpc_id, "EnableDnsSupport": {"Value": False}}
    assert refused(lambda: mine.modify_vpc_attribute(**change)) == denied
    assert mine.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsSupport")["VpcId"] == vpc_id
    assert refused(lambda: mine.delete_vpc(VpcId=OTHER_VPC)) == denied
    assert refused(lambda: mine.delete_vpc(VpcId="vpc-0000000000000000f")) == denied
    mine.delete_vpc(VpcId=vpc_id)
