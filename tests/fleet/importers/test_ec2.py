"""What EC2 describes, as answers of DescribeInstances and its kin have it."""

from typing import Any

import pytest
from tests.fleet.importers.sound import sound

from hatchway.domain.ids import Kind, derived_id
from hatchway.fleet import parse_fleet
from hatchway.fleet.importers.ec2 import Ec2Account, import_ec2, names_in
from hatchway.fleet.importers.hosts import NotImported


def instance(number: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "InstanceId": f"i-{number:017x}",
        "InstanceType": "t3.micro",
        "State": {"Name": "running"},
        "VpcId": "vpc-a",
        "SubnetId": "subnet-a",
        "PrivateIpAddress": f"10.0.1.{number}",
        "SecurityGroups": [{"GroupId": "sg-web"}, {"GroupId": "sg-gone"}],
        "Tags": [{"Key": "Name", "Value": name}, {"Key": "aws:x", "Value": "y"}] if name else [],
        **more,
    }


def vpc(vpc_id: str, name: str, *more: str) -> dict[str, Any]:
    return {
        "VpcId": vpc_id,
        "CidrBlock": "10.0.0.0/16",
        "CidrBlockAssociationSet": [{"CidrBlock": cidr} for cidr in ("10.0.0.0/16", *more)],
        "Ipv6CidrBlockAssociationSet": [],
        "Tags": [{"Key": "Name", "Value": name}],
    }


def subnet(subnet_id: str, vpc_id: str, cidr: str) -> dict[str, Any]:
    tags = [{"Key": "t", "Value": "1"}]
    place = {"SubnetId": subnet_id, "VpcId": vpc_id, "AvailabilityZone": "eu-west-1a"}
    return {**place, "CidrBlock": cidr, "Tags": tags}


GROUPS = (
    {
        "GroupId": "sg-web",
        "GroupName": "web",
        "VpcId": "vpc-a",
        "Description": "SSH",
        "Tags": [{"Key": "t", "Value": "1"}],
        "IpPermissions": [
            {
                "IpProtocol": "tcp",
                "FromPort": 22,
                "ToPort": 22,
                "IpRanges": [{"CidrIp": "10.0.0.0/16"}],
                "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
                "UserIdGroupPairs": [{"GroupId": "sg-def"}, {"GroupId": "sg-far"}],
                "PrefixListIds": [{"PrefixListId": "pl-1"}],
            },
            {"IpProtocol": "tcp", "FromPort": 8000, "ToPort": 8010, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
            {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        ],
        "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    },
    {
        "GroupId": "sg-def",
        "GroupName": "default",
        "VpcId": "vpc-a",
        "Description": "default VPC security group",
    },
    {
        "GroupId": "sg-def2",
        "GroupName": "default",
        "VpcId": "vpc-b",
        "Description": "default VPC security group",
    },
)


def test_instances_keep_their_ids_networks_groups_and_tags() -> None:
    account = Ec2Account(
        instances=[
            instance(1, "web"),
            instance(2, "web", State={"Name": "stopping"}),
            instance(3),
            instance(4, State={"Name": "terminated"}),
            instance(5, PrivateIpAddress=None),
            instance(6, SubnetId="subnet-x"),
            instance(7, PrivateIpAddress="10.0.1.1"),
            instance(
                8, "far", VpcId="vpc-b", SubnetId="subnet-b", PrivateIpAddress="10.0.1.1", SecurityGroups=[]
            ),
        ],
        vpcs=[vpc("vpc-a", "office", "10.8.0.0/16"), vpc("vpc-b", "office"), vpc("vpc-c", "unused")],
        subnets=[subnet("subnet-a", "vpc-a", "10.0.1.0/24"), subnet("subnet-b", "vpc-b", "10.0.1.0/24")],
        security_groups=GROUPS,
    )
    imported = import_ec2(account)
    fleet = sound(imported)
    assert set(fleet["instances"]) == {"web", "web-i-00000000000000002", "i-00000000000000003", "far"}
    assert fleet["instances"]["web"] == {
        "id": "i-00000000000000001",
        "subnet": "office/subnet-a",
        "private_ip": "10.0.1.1",
        "security_groups": ["office/web"],
        "instance_type": "t3.micro",
        "tags": {"Name": "web"},
    }
    assert fleet["instances"]["web-i-00000000000000002"]["state"] == "stopped"
    assert fleet["vpcs"]["office"]["cidr"] == ["10.0.0.0/16", "10.8.0.0/16"]
    assert fleet["vpcs"]["office-vpc-b"]["separate_network"] is True
    web = fleet["vpcs"]["office"]["security_groups"]["web"]
    assert web["ingress"] == [
        {"protocol": "tcp", "ports": 22, "source": "10.0.0.0/16"},
        {"protocol": "tcp", "ports": 22, "source": "::/0"},
        {"protocol": "tcp", "ports": 22, "source": "office/default"},
        {"protocol": "tcp", "ports": "8000-8010", "source": "10.0.0.0/16"},
    ]
    assert web["egress"] == [{"protocol": "all", "destination": "0.0.0.0/0"}]
    assert imported.notes == (
        "i-00000000000000004 is left out: it is terminated",
        "i-00000000000000005 is left out: it has no private IPv4 address in a VPC",
        "i-00000000000000006 is left out: its subnet subnet-x was not described",
        "office/web: rules for prefix lists and groups of other VPCs are left out (2)",
        "office-vpc-b: its ranges overlap another VPC's, so it is a separate network",
        "i-00000000000000007 is left out: web has its address 10.0.1.1",
    )


def test_without_networks_the_addresses_tell_likely_ones_and_without_groups_there_are_none() -> None:
    imported = import_ec2(Ec2Account(instances=[instance(1, "web")]), vpc="lab")
    assert sound(imported)["instances"]["web"]["subnet"] == "lab/10.0.1.0-24"
    assert imported.notes == ("no networks were described: they are what the addresses make likely",)
    place = {**subnet("subnet-a", "vpc-a", "10.0.1.0/24"), "Tags": []}
    without = Ec2Account(instances=[instance(1)], vpcs=[{**vpc("vpc-a", "a"), "Tags": []}], subnets=[place])
    assert "security_groups" not in sound(import_ec2(without))["vpcs"]["vpc-a"]


def test_an_account_without_instances_is_nothing_to_import() -> None:
    with pytest.raises(NotImported):
        import_ec2(Ec2Account(instances=[]))


def test_things_are_called_what_a_fleet_file_of_the_account_calls_them() -> None:
    fleet = parse_fleet(
        b"""
vpcs:
  home:
    id: vpc-0a
    cidr: 10.0.0.0/16
    subnets: {web: {cidr: 10.0.1.0/24, id: subnet-0a}, db: {cidr: 10.0.2.0/24}}
    security_groups: {open: {id: sg-0a}}
instances: {one: {subnet: home/web, private_ip: 10.0.1.1}}
"""
    )
    names = names_in(fleet, "123456789012")
    derived = derived_id(Kind.SUBNET, "123456789012", "home/db")
    assert {id_: name for id_, name in names.items() if id_.endswith("-0a")} == {
        "vpc-0a": "home", "subnet-0a": "web", "sg-0a": "open",
    }  # fmt: skip
    assert names[derived] == "db"
    assert names[derived_id(Kind.INSTANCE, "123456789012", "one")] == "one"

    account = Ec2Account(
        instances=[instance(1, "tagged")],
        vpcs=[vpc("vpc-a", "tagged")],
        subnets=[subnet("subnet-a", "vpc-a", "10.0.1.0/24")],
        security_groups=GROUPS,
        names={"i-00000000000000001": "one", "vpc-a": "home", "subnet-a": "web"},
    )
    imported = sound(import_ec2(account))
    assert imported["instances"]["one"]["subnet"] == "home/web"
    assert set(imported["vpcs"]) == {"home"}
