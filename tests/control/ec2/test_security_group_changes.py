"""Security groups made and deleted."""

from functools import partial
from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import ARNS, DEFAULT_GROUP, OTHER_VPC, SSH_GROUP, SUBNET_ELSEWHERE, VPC, World


def make(ec2: Any, name: str, vpc_id: str = OTHER_VPC, **more: Any) -> str:
    return str(ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc_id, **more)["GroupId"])


def test_a_group_is_made_letting_everything_out_and_goes(account: World, ec2: Any) -> None:
    name = "web / [a]:{b} #1"
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "team", "Value": "web"}]}]
    made = ec2.create_security_group(
        GroupName=name, Description="Web servers", VpcId=OTHER_VPC, TagSpecifications=tags
    )
    group_id = made["GroupId"]
    assert (made["SecurityGroupArn"], made["Tags"]) == (ARNS.security_group(group_id), tags[0]["Tags"])
    ec2.get_waiter("security_group_exists").wait(GroupIds=[group_id])
    (told,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert (told["GroupName"], told["Description"], told["VpcId"]) == (name, "Web servers", OTHER_VPC)
    assert told["IpPermissions"] == []
    (out,) = told["IpPermissionsEgress"]
    # The VPC has no IPv6.
    assert (out["IpProtocol"], out["IpRanges"], out["Ipv6Ranges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}], [])
    assert refused(lambda: make(ec2, name)) == "InvalidGroup.Duplicate"
    with account.store.read() as tx:
        assert tx.security_groups.get(group_id) is not None
    assert ec2.delete_security_group(GroupId=group_id)["GroupId"] == group_id
    assert refused(lambda: ec2.delete_security_group(GroupId=group_id)) == "InvalidGroup.NotFound"
    assert not ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group_id]}])[
        "SecurityGroupRules"
    ]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GroupName": "default"}, "InvalidParameterValue"),
        ({"GroupName": "sg-1"}, "InvalidParameterValue"),
        ({"GroupName": " a"}, "InvalidParameterValue"),
        ({"GroupName": "ä"}, "InvalidParameterValue"),
        ({"GroupName": "a" * 256}, "InvalidParameterValue"),
        ({"Description": "d" * 256}, "InvalidParameterValue"),
        ({"Description": "two\nlines"}, "InvalidParameterValue"),
        ({"GroupName": "a<b>"}, "InvalidParameterValue"),
        ({"Description": "a<b>"}, "InvalidParameterValue"),
        ({"Description": "Bob's"}, "InvalidParameterValue"),
        ({"Description": ""}, "MissingParameter"),
        ({"VpcId": "vpc-0000000000000000f"}, "InvalidVpcID.NotFound"),
        ({"VpcId": ""}, "VPCIdNotSpecified"),
        ({"DryRun": True}, "DryRunOperation"),
    ],
)
def test_what_no_group_can_be_is_refused(ec2: Any, asked: dict[str, Any], code: str) -> None:
    usual = {"GroupName": "refused", "Description": "d", "VpcId": OTHER_VPC}
    assert refused(lambda: ec2.create_security_group(**{**usual, **asked})) == code


def test_a_group_that_something_uses_stays(ec2: Any) -> None:
    assert refused(lambda: ec2.delete_security_group(GroupId=DEFAULT_GROUP)) == "CannotDelete"
    assert refused(lambda: ec2.delete_security_group(GroupId=SSH_GROUP)) == "DependencyViolation"
    used, other = make(ec2, "used"), make(ec2, "other")
    pair = [{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": used}]}]
    ec2.authorize_security_group_ingress(GroupId=used, IpPermissions=pair)
    ec2.authorize_security_group_egress(GroupId=other, IpPermissions=pair)
    assert refused(lambda: ec2.delete_security_group(GroupId=used)) == "DependencyViolation"
    ec2.revoke_security_group_egress(GroupId=other, IpPermissions=pair)
    endpoint = ec2.create_instance_connect_endpoint(SubnetId=SUBNET_ELSEWHERE, SecurityGroupIds=[used])
    endpoint_id = endpoint["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    assert refused(lambda: ec2.delete_security_group(GroupId=used)) == "DependencyViolation"
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id)
    ec2.delete_security_group(GroupId=used)
    ec2.delete_security_group(GroupId=other)


def test_the_groups_of_a_vpc_are_told_to_who_may_ask_about_it(account: World, ec2: Any) -> None:
    group_id = make(ec2, "told")
    asked = {"VpcId": OTHER_VPC, "Filters": [{"Name": "group-name", "Values": ["to*"]}]}
    (told,) = ec2.get_security_groups_for_vpc(**asked)["SecurityGroupForVpcs"]
    assert told == {
        "GroupId": group_id,
        "GroupName": "told",
        "Description": "d",
        "OwnerId": ARNS.account,
        "PrimaryVpcId": OTHER_VPC,
        "Tags": [],
    }
    pages = ec2.get_paginator("get_security_groups_for_vpc").paginate(VpcId=VPC)
    found = {each["GroupId"] for page in pages for each in page["SecurityGroupForVpcs"]}
    assert {DEFAULT_GROUP, SSH_GROUP} <= found and group_id not in found
    gone = {"VpcId": "vpc-0000000000000000f"}
    assert refused(lambda: ec2.get_security_groups_for_vpc(**gone)) == "InvalidVpcID.NotFound"
    allowed = {"Effect": "Allow", "Action": "ec2:GetSecurityGroupsForVpc", "Resource": ARNS.vpc(VPC)}
    alice = account.client("ec2", account.user("asks", allowed))
    assert alice.get_security_groups_for_vpc(VpcId=VPC)["SecurityGroupForVpcs"]
    for others in (asked, gone):
        call = partial(alice.get_security_groups_for_vpc, **others)
        assert refused(call) == "UnauthorizedOperation"
    ec2.delete_security_group(GroupId=group_id)


def test_groups_of_a_default_vpc_are_refused_by_name(ec2: Any) -> None:
    assert refused(lambda: ec2.delete_security_group(GroupName="ssh-in")) == "UnsupportedOperation"
    assert refused(ec2.delete_security_group) == "MissingParameter"


def test_who_makes_and_deletes_groups_is_judged_by_vpc_and_tags(account: World) -> None:
    credentials = account.user(
        "builder",
        {"Effect": "Allow", "Action": "ec2:CreateSecurityGroup", "Resource": ARNS.security_group("*")},
        {"Effect": "Allow", "Action": "ec2:CreateSecurityGroup", "Resource": ARNS.vpc(OTHER_VPC)},
        {
            "Effect": "Allow",
            "Action": "ec2:DeleteSecurityGroup",
            "Resource": "*",
            "Condition": {"ArnEquals": {"ec2:Vpc": ARNS.vpc(OTHER_VPC)}},
        },
    )
    mine = account.client("ec2", credentials)
    denied = "UnauthorizedOperation"
    group_id = make(mine, "mine")
    assert refused(lambda: make(mine, "mine", VPC)) == denied
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "team", "Value": "web"}]}]
    assert refused(lambda: make(mine, "tagged", TagSpecifications=tags)) == denied
    assert refused(lambda: mine.delete_security_group(GroupId=SSH_GROUP)) == denied
    mine.delete_security_group(GroupId=group_id)
