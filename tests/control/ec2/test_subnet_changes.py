"""Subnets made, changed and deleted."""

from dataclasses import replace
from typing import Any

import pytest
from tests.control.ec2.refusals import refused
from tests.control.harness import ARNS, INSTANCE, OTHER_VPC, SUBNET, VPC, World


def make(ec2: Any, cidr: str | None, vpc_id: str = VPC, **more: Any) -> Any:
    four = {} if cidr is None else {"CidrBlock": cidr}
    return ec2.create_subnet(VpcId=vpc_id, **four, **more)["Subnet"]


def test_a_subnet_is_made_in_its_zone_and_goes(account: World, ec2: Any) -> None:
    tags = [{"ResourceType": "subnet", "Tags": [{"Key": "tier", "Value": "app"}]}]
    six = "fd00:1:0:10::/64"
    made = make(ec2, "10.0.16.0/24", Ipv6CidrBlock=six, AvailabilityZone="us-east-1b", TagSpecifications=tags)
    subnet_id = made["SubnetId"]
    ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet_id])
    (told,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert told == made
    assert (told["VpcId"], told["AvailabilityZone"], told["AvailabilityZoneId"]) == (
        VPC,
        "us-east-1b",
        "use1-az2",
    )
    assert (told["CidrBlock"], told["AvailableIpAddressCount"]) == ("10.0.16.0/24", 251)
    assert [one["Ipv6CidrBlock"] for one in told["Ipv6CidrBlockAssociationSet"]] == [six]
    assert told["Tags"] == tags[0]["Tags"]
    with account.store.read() as tx:
        assert tx.subnets.get(subnet_id) is not None
    ec2.delete_subnet(SubnetId=subnet_id)
    assert refused(lambda: ec2.delete_subnet(SubnetId=subnet_id)) == "InvalidSubnetID.NotFound"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "10.0.17.0/33"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.17.0/29"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.1.17.0/24"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.1.128/25"}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.0.0/22"}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.17.0/24", "Ipv6CidrBlock": "fd00:1::/64"}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.17.0/24", "Ipv6Native": True}, "InvalidParameterCombination"),
        ({"Ipv6Native": True}, "MissingParameter"),
        ({"CidrBlock": "10.0.17.0/24", "AvailabilityZone": "eu-west-1a"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.17.0/24", "AvailabilityZoneId": "use1-az9"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.17.0/24", "OutpostArn": "arn:aws:outposts:x"}, "UnsupportedOperation"),
        ({"CidrBlock": "10.0.17.0/24", "VpcId": "vpc-0000000000000000f"}, "InvalidVpcID.NotFound"),
        ({"CidrBlock": "10.0.17.0/24", "DryRun": True}, "DryRunOperation"),
    ],
)
def test_what_no_subnet_can_be_is_refused(ec2: Any, asked: dict[str, Any], code: str) -> None:
    assert refused(lambda: ec2.create_subnet(**{"VpcId": VPC, **asked})) == code


def test_a_subnet_of_ipv6_alone_has_no_other_range(ec2: Any) -> None:
    asked = {"VpcId": VPC, "Ipv6CidrBlock": "fd00:1:0:20::/64", "Ipv6Native": True}
    made = ec2.create_subnet(**asked)["Subnet"]
    assert made["Ipv6Native"] is True and "CidrBlock" not in made
    ec2.delete_subnet(SubnetId=made["SubnetId"])


def test_a_subnet_that_something_is_in_stays(ec2: Any) -> None:
    assert refused(lambda: ec2.delete_subnet(SubnetId=SUBNET)) == "DependencyViolation"
    subnet_id = make(ec2, "10.1.2.0/24", OTHER_VPC)["SubnetId"]
    made = ec2.create_instance_connect_endpoint(SubnetId=subnet_id)["InstanceConnectEndpoint"]
    assert refused(lambda: ec2.delete_subnet(SubnetId=subnet_id)) == "DependencyViolation"
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=made["InstanceConnectEndpointId"])
    ec2.delete_subnet(SubnetId=subnet_id)


def test_attributes_are_kept_and_told(ec2: Any) -> None:
    subnet_id = make(ec2, "10.0.18.0/24")["SubnetId"]
    ec2.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet_id, EnableResourceNameDnsARecordOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet_id, PrivateDnsHostnameTypeOnLaunch="ip-name")
    (told,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert (told["MapPublicIpOnLaunch"], told["EnableDns64"]) == (True, False)
    assert told["PrivateDnsNameOptionsOnLaunch"] == {
        "HostnameType": "ip-name",
        "EnableResourceNameDnsARecord": True,
        "EnableResourceNameDnsAAAARecord": False,
    }
    filters = [{"Name": "map-public-ip-on-launch", "Values": ["true"]}]
    assert [one["SubnetId"] for one in ec2.describe_subnets(Filters=filters)["Subnets"]] == [subnet_id]
    other = {"PrivateDnsHostnameTypeOnLaunch": "resource-name"}
    assert refused(lambda: ec2.modify_subnet_attribute(SubnetId=subnet_id, **other)) == "UnsupportedOperation"
    assert refused(lambda: ec2.modify_subnet_attribute(SubnetId=subnet_id)) == "MissingParameter"
    ec2.delete_subnet(SubnetId=subnet_id)


def test_a_subnet_gets_a_range_of_ipv6_once(ec2: Any) -> None:
    subnet_id = make(ec2, "10.0.19.0/24")["SubnetId"]
    asked = {"SubnetId": subnet_id, "Ipv6CidrBlock": "fd00:1:0:30::/64"}
    made = ec2.associate_subnet_cidr_block(**asked)["Ipv6CidrBlockAssociation"]
    (told,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    assert told["Ipv6CidrBlockAssociationSet"] == [made]
    assert refused(lambda: ec2.associate_subnet_cidr_block(**asked)) == "InvalidSubnet.Conflict"
    ec2.delete_subnet(SubnetId=subnet_id)


def test_a_subnet_loses_its_range_of_ipv6_when_nothing_has_an_address_of_it(account: World, ec2: Any) -> None:
    subnet_id = make(ec2, "10.0.21.0/24", Ipv6CidrBlock="fd00:1:0:31::/64")["SubnetId"]
    (told,) = ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["Ipv6CidrBlockAssociationSet"]

    def disassociate(association_id: str = told["AssociationId"]) -> Any:
        return ec2.disassociate_subnet_cidr_block(AssociationId=association_id)

    with account.store.read() as tx:
        web = tx.instances.get(INSTANCE)
    assert web is not None
    six = replace(web, id="i-0000000000000006", name="six", subnet_id=subnet_id, private_ip=None)
    account.change(lambda tx: tx.instances.put(replace(six, ipv6="fd00:1:0:31::9")))
    assert refused(disassociate) == "DependencyViolation"
    account.change(lambda tx: tx.instances.delete(six.id))
    ended = disassociate()
    assert ended == {**ended, "SubnetId": subnet_id}
    assert ended["Ipv6CidrBlockAssociation"] == {**told, "Ipv6CidrBlockState": {"State": "disassociated"}}
    assert ec2.describe_subnets(SubnetIds=[subnet_id])["Subnets"][0]["Ipv6CidrBlockAssociationSet"] == []
    assert refused(disassociate) == "InvalidSubnetCidrBlockAssociationID.NotFound"
    ec2.delete_subnet(SubnetId=subnet_id)

    native = make(ec2, None, Ipv6CidrBlock="fd00:1:0:32::/64", Ipv6Native=True)
    (only,) = native["Ipv6CidrBlockAssociationSet"]
    assert refused(lambda: disassociate(only["AssociationId"])) == "OperationNotPermitted"
    ec2.delete_subnet(SubnetId=native["SubnetId"])


def test_who_makes_subnets_is_judged_by_the_vpc_and_the_tags_asked_for(account: World) -> None:
    credentials = account.user(
        "builder",
        {
            "Effect": "Allow",
            "Action": "ec2:CreateSubnet",
            "Resource": ARNS.subnet("*"),
            "Condition": {"Null": {"aws:TagKeys": "true"}},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:CreateSubnet",
            "Resource": ARNS.vpc("*"),
            "Condition": {"StringEquals": {"ec2:ResourceTag/Name": "office"}},
        },
        {
            "Effect": "Allow",
            "Action": "ec2:DeleteSubnet",
            "Resource": "*",
            "Condition": {
                "ArnEquals": {"ec2:Vpc": ARNS.vpc(VPC)},
                "StringLike": {"ec2:AvailabilityZoneId": "*-az3"},
            },
        },
    )
    mine = account.client("ec2", credentials)
    subnet_id = make(mine, "10.0.20.0/24", AvailabilityZoneId="use1-az3")["SubnetId"]
    denied = "UnauthorizedOperation"
    assert refused(lambda: make(mine, "10.1.20.0/24", OTHER_VPC)) == denied
    tags = [{"ResourceType": "subnet", "Tags": [{"Key": "team", "Value": "web"}]}]
    assert refused(lambda: make(mine, "10.0.21.0/24", TagSpecifications=tags)) == denied
    assert refused(lambda: mine.delete_subnet(SubnetId=SUBNET)) == denied
    mine.delete_subnet(SubnetId=subnet_id)


def test_whoever_may_make_no_subnet_learns_of_no_zone(account: World) -> None:
    nobody = account.client("ec2", account.user("nobody"))
    asked = {"VpcId": VPC, "CidrBlock": "10.0.18.0/24", "AvailabilityZone": "nowhere"}
    assert refused(lambda: nobody.create_subnet(**asked)) == "UnauthorizedOperation"
