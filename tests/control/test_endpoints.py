"""Endpoints are made, described, modified and deleted as EC2 does it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    OTHER_DEFAULT_GROUP,
    OTHER_SUBNET,
    SSH_GROUP,
    SUBNET,
    SUBNET_ELSEWHERE,
    VPC,
    World,
)

from hatchway.domain.endpoint import ProxyProtocol

ABSENT = "eice-0000000000000000f"


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def create(world: World, subnet: str = SUBNET, **parameters: Any) -> Any:
    answer = world.client("ec2").create_instance_connect_endpoint(SubnetId=subnet, **parameters)
    return answer["InstanceConnectEndpoint"]


def tags(**pairs: str) -> list[dict[str, Any]]:
    listed = [{"Key": key, "Value": value} for key, value in pairs.items()]
    return [{"ResourceType": "instance-connect-endpoint", "Tags": listed}]


def test_an_endpoint_has_every_field(world: World) -> None:
    made = create(world, TagSpecifications=tags(env="dev", Name="way in"))
    endpoint_id = made["InstanceConnectEndpointId"]
    assert endpoint_id.startswith("eice-") and len(endpoint_id) == 22
    (interface_id,) = made["NetworkInterfaceIds"]
    names = {"DnsName": "gateway.hatchway.test", "FipsDnsName": "gateway.hatchway.test"}
    expected = {
        "OwnerId": "123456789012",
        "InstanceConnectEndpointId": endpoint_id,
        "InstanceConnectEndpointArn": ARNS.endpoint(endpoint_id),
        "State": "create-complete",
        "StateMessage": "",
        **names,
        "NetworkInterfaceIds": [interface_id],
        "VpcId": VPC,
        "AvailabilityZone": "us-east-1a",
        "AvailabilityZoneId": "use1-az1",
        "CreatedAt": made["CreatedAt"],
        "SubnetId": SUBNET,
        "PreserveClientIp": False,
        "SecurityGroupIds": [DEFAULT_GROUP],
        "Tags": [{"Key": "Name", "Value": "way in"}, {"Key": "env", "Value": "dev"}],
        "IpAddressType": "dualstack",
        "PublicDnsNames": {"Ipv4": names, "Dualstack": names},
    }
    assert made == expected
    assert made["CreatedAt"].tzinfo is not None
    assert world.client("ec2").describe_instance_connect_endpoints()["InstanceConnectEndpoints"] == [expected]

    (event,) = world.events("CreateInstanceConnectEndpoint")
    assert event["readOnly"] is False
    assert event["requestParameters"]["tagSpecifications"][0]["tags"][0] == {"key": "env", "value": "dev"}
    assert event["responseElements"]["instanceConnectEndpoint"]["instanceConnectEndpointId"] == endpoint_id
    assert ARNS.endpoint(endpoint_id) in [resource["ARN"] for resource in event["resources"]]


def test_its_interface_has_a_free_address_and_its_tag_and_dies_with_it(world: World) -> None:
    ec2 = world.client("ec2")
    made = create(world, SecurityGroupIds=[SSH_GROUP])
    (interface,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["NetworkInterfaceId"] == made["NetworkInterfaceIds"][0]
    assert interface["PrivateIpAddress"].startswith("10.0.1.") and interface["PrivateIpAddress"] != "10.0.1.1"
    assert interface["Ipv6Addresses"][0]["Ipv6Address"].startswith("fd00:1::")
    assert interface["Groups"] == [{"GroupId": SSH_GROUP, "GroupName": "ssh-in"}]
    tag = {"Key": "InstanceConnectEndpointId", "Value": made["InstanceConnectEndpointId"]}
    assert interface["TagSet"] == [tag]
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=made["InstanceConnectEndpointId"])
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_the_first_endpoint_brings_the_service_linked_role(world: World) -> None:
    name = "AWSServiceRoleForEC2InstanceConnect"
    iam = world.client("iam")
    assert refused(lambda: iam.get_role(RoleName=name)) == "NoSuchEntity"
    create(world)
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Path"] == "/aws-service-role/ec2-instance-connect.amazonaws.com/"
    statement = role["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": "ec2-instance-connect.amazonaws.com"}


@pytest.mark.parametrize(
    ("subnet", "parameters", "expected"),
    [
        (SUBNET, {}, "dualstack"),
        (OTHER_SUBNET, {}, "ipv4"),
        (SUBNET, {"IpAddressType": "ipv4", "PreserveClientIp": True}, "ipv4"),
        (SUBNET, {"IpAddressType": "ipv6"}, "ipv6"),
    ],
)
def test_the_address_type_follows_the_subnet_or_the_request(
    world: World, subnet: str, parameters: dict[str, Any], expected: str
) -> None:
    made = create(world, subnet, **parameters)
    assert made["IpAddressType"] == expected
    assert made["PreserveClientIp"] is parameters.get("PreserveClientIp", False)


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"SubnetId": "subnet-0000000000000000f"}, "InvalidSubnetID.NotFound"),
        ({"SubnetId": "subnet"}, "InvalidSubnetID.Malformed"),
        ({"SubnetId": "subnet-*"}, "InvalidSubnetID.Malformed"),
        ({"SubnetId": "subnet-a:b"}, "InvalidSubnetID.Malformed"),
        ({"SecurityGroupIds": ["sg-0000000000000000f"]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": [OTHER_DEFAULT_GROUP]}, "InvalidGroup.NotFound"),
        ({"SecurityGroupIds": ["default"]}, "InvalidGroupId.Malformed"),
        ({"SecurityGroupIds": [f"sg-{n:017x}" for n in range(17)]}, "InvalidParameterValue"),
        ({"PreserveClientIp": True}, "InvalidParameterValue"),
        ({"SubnetId": OTHER_SUBNET, "IpAddressType": "ipv6"}, "InvalidParameterCombination"),
        ({"IpAddressType": "ipv5"}, "InvalidParameterValue"),
        ({"ClientToken": "x" * 65}, "InvalidParameterValue"),
        ({"ClientToken": "é"}, "InvalidParameterValue"),
        ({"TagSpecifications": tags(**{"aws:x": "1"})}, "InvalidParameterValue"),
        ({"TagSpecifications": tags(env="1", Env="2")}, "InvalidParameterValue"),
        ({"TagSpecifications": tags(**{"k" * 129: ""})}, "InvalidParameterValue"),
        ({"TagSpecifications": tags(k="v" * 257)}, "InvalidParameterValue"),
        ({"TagSpecifications": tags(**{f"k{n}": "" for n in range(51)})}, "TagLimitExceeded"),
        ({"TagSpecifications": [{"ResourceType": "subnet", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_creation_that_cannot_be_is_refused_and_leaves_nothing(
    world: World, parameters: dict[str, Any], code: str
) -> None:
    client = world.client("ec2", parameter_validation=False)
    assert (
        refused(lambda: client.create_instance_connect_endpoint(**{"SubnetId": SUBNET, **parameters})) == code
    )
    with world.store.read() as tx:
        assert tx.endpoints.count() == tx.network_interfaces.count() == tx.roles.count() == 0
    assert world.events()[-1]["errorCode"] == f"Client.{code}"


def test_a_full_subnet_has_no_room_for_an_endpoint(world: World) -> None:
    create(world, OTHER_SUBNET)
    with world.store.write() as tx:
        (subnet,) = tx.subnets.find(id=OTHER_SUBNET)
        tx.subnets.put(replace(subnet, id="subnet-0000000000000000d", cidrs=("10.0.3.0/30",)))
        (instance,) = tx.instances.find(subnet_id=OTHER_SUBNET)
        for last in (1, 2):
            tx.instances.put(
                replace(
                    instance,
                    id=f"i-{last:017x}",
                    subnet_id="subnet-0000000000000000d",
                    private_ip=f"10.0.3.{last}",
                )
            )
    code = refused(lambda: create(world, "subnet-0000000000000000d"))
    assert code == "InsufficientFreeAddressesInSubnet"


def test_the_same_client_token_makes_one_endpoint(world: World) -> None:
    first = create(world, ClientToken="once")
    assert create(world, ClientToken="once") == first
    assert refused(lambda: create(world, OTHER_SUBNET, ClientToken="once")) == "IdempotentParameterMismatch"
    assert len(world.client("ec2").describe_instance_connect_endpoints()["InstanceConnectEndpoints"]) == 1


def test_quotas_bound_endpoints_and_deleted_ones_do_not_count(world: World) -> None:
    ec2 = world.client("ec2")
    first = create(world)
    assert refused(lambda: create(world)) == "InstanceConnectEndpointLimitExceeded"
    create(world, OTHER_SUBNET)
    create(world, SUBNET_ELSEWHERE)
    for endpoint in ec2.describe_instance_connect_endpoints()["InstanceConnectEndpoints"]:
        assert endpoint["State"] == "create-complete"
    ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=first["InstanceConnectEndpointId"])
    again = create(world)
    assert again["InstanceConnectEndpointId"] != first["InstanceConnectEndpointId"]


def test_modifying_replaces_groups_and_addresses(world: World) -> None:
    ec2 = world.client("ec2")
    endpoint_id = create(world, TagSpecifications=tags(env="dev"))["InstanceConnectEndpointId"]
    assert ec2.modify_instance_connect_endpoint(
        InstanceConnectEndpointId=endpoint_id, SecurityGroupIds=[SSH_GROUP]
    )["Return"]
    (changed,) = ec2.describe_instance_connect_endpoints()["InstanceConnectEndpoints"]
    assert (changed["State"], changed["SecurityGroupIds"]) == ("update-complete", [SSH_GROUP])
    ec2.modify_instance_connect_endpoint(
        InstanceConnectEndpointId=endpoint_id, IpAddressType="ipv4", PreserveClientIp=True
    )
    (changed,) = ec2.describe_instance_connect_endpoints()["InstanceConnectEndpoints"]
    assert (changed["IpAddressType"], changed["PreserveClientIp"]) == ("ipv4", True)
    assert changed["Tags"] == [{"Key": "env", "Value": "dev"}]
    for kind in ("dualstack", "ipv6"):
        more = lambda: ec2.modify_instance_connect_endpoint(  # noqa: E731
            InstanceConnectEndpointId=endpoint_id,
            IpAddressType=kind,  # noqa: B023
        )
        assert refused(more) == "InvalidParameterValue"
    (interface,) = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["Ipv6Addresses"] == []
    assert [group["GroupId"] for group in interface["Groups"]] == [SSH_GROUP]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({}, "MissingParameter"),
        ({"SecurityGroupIds": []}, "MissingParameter"),
        ({"SecurityGroupIds": [OTHER_DEFAULT_GROUP]}, "InvalidGroup.NotFound"),
        ({"PreserveClientIp": True}, "InvalidParameterValue"),
        ({"InstanceConnectEndpointId": ABSENT, "PreserveClientIp": True}, None),
        ({"InstanceConnectEndpointId": "eice", "PreserveClientIp": True}, ".Malformed"),
    ],
)
def test_a_modification_that_cannot_be_is_refused(
    world: World, parameters: dict[str, Any], code: str | None
) -> None:
    made = create(world)
    arguments = {"InstanceConnectEndpointId": made["InstanceConnectEndpointId"], **parameters}
    got = refused(lambda: world.client("ec2").modify_instance_connect_endpoint(**arguments))
    prefix = "InvalidInstanceConnectEndpointId"
    assert got in {code, f"{prefix}.NotFound" if code is None else f"{prefix}{code}"}
    assert world.client("ec2").describe_instance_connect_endpoints()["InstanceConnectEndpoints"] == [made]


def test_the_api_leaves_alone_by_what_protocol_a_target_learns_the_clients_address(world: World) -> None:
    ec2 = world.client("ec2")
    endpoint_id = create(world)["InstanceConnectEndpointId"]
    with world.store.write() as tx:
        made = tx.endpoints.get(endpoint_id)
        assert made is not None
        tx.endpoints.put(replace(made, proxy_protocol=ProxyProtocol.V2))
    kept = {"InstanceConnectEndpointId": endpoint_id, "IpAddressType": "ipv4", "PreserveClientIp": True}
    with pytest.raises(ClientError, match="cannot both preserve the client's address and tell it") as caught:
        ec2.modify_instance_connect_endpoint(**kept)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterCombination"
    ec2.modify_instance_connect_endpoint(
        InstanceConnectEndpointId=endpoint_id, SecurityGroupIds=[SSH_GROUP], IpAddressType="ipv4"
    )
    with world.store.read() as tx:
        changed = tx.endpoints.get(endpoint_id)
    assert changed is not None
    assert (changed.security_group_ids, changed.proxy_protocol) == ((SSH_GROUP,), ProxyProtocol.V2)


def test_a_deleted_endpoint_is_listed_and_cannot_be_touched(world: World) -> None:
    ec2 = world.client("ec2")
    endpoint_id = create(world)["InstanceConnectEndpointId"]
    gone = ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id)
    assert gone["InstanceConnectEndpoint"]["State"] == "delete-complete"
    for call in (
        lambda: ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id),
        lambda: ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=ABSENT),
        lambda: ec2.modify_instance_connect_endpoint(
            InstanceConnectEndpointId=endpoint_id, SecurityGroupIds=[SSH_GROUP]
        ),
        lambda: ec2.describe_instance_connect_endpoints(InstanceConnectEndpointIds=[ABSENT]),
    ):
        assert refused(call) == "InvalidInstanceConnectEndpointId.NotFound"
    usable = {"Name": "state", "Values": ["create-complete", "update-complete"]}
    assert ec2.describe_instance_connect_endpoints(Filters=[usable])["InstanceConnectEndpoints"] == []
    (listed,) = ec2.describe_instance_connect_endpoints(
        Filters=[{"Name": "state", "Values": ["delete-*"]}, {"Name": "vpc-id", "Values": [VPC]}]
    )["InstanceConnectEndpoints"]
    assert listed["InstanceConnectEndpointId"] == endpoint_id
