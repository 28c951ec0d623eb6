"""Hosts registered, changed and taken out through the API."""

from typing import Any

import pytest
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    INSTANCE,
    OTHER_DEFAULT_GROUP,
    OTHER_SUBNET,
    SSH_GROUP,
    SUBNET,
    SUBNET_ELSEWHERE,
    VPC,
    World,
)
from tests.control.hatchway_service.refusals import allow, refused

from hatchway.domain.host_token import HostToken
from hatchway.domain.ids import Kind, derived_id
from hatchway.domain.network import NetworkInterface
from hatchway.domain.ssh_key import PushedKey

WEB_7 = {"Name": "web-7", "SubnetId": SUBNET, "PrivateIpAddress": "10.0.1.7"}
WEB_7_ID = derived_id(Kind.INSTANCE, "123456789012", "web-7")


@pytest.fixture
def client(world: World) -> Any:
    return world.client("hatchway")


def test_a_host_is_registered_as_a_fleet_file_would_have_it_and_ec2_describes_it(
    world: World, client: Any
) -> None:
    told = client.register_instance(
        **WEB_7,
        Ipv6Address="FD00:1::7",
        SecurityGroupIds=[SSH_GROUP],
        State="stopped",
        InstanceType="rack.r640",
        Tags=[{"Key": "env", "Value": "dev"}, {"Key": "Name", "Value": "web 7"}],
    )["Instance"]
    assert told == {
        "InstanceId": WEB_7_ID,
        "InstanceArn": ARNS.instance(WEB_7_ID),
        "Name": "web-7",
        "VpcId": VPC,
        "SubnetId": SUBNET,
        "PrivateIpAddress": "10.0.1.7",
        "Ipv6Address": "fd00:1::7",
        "SecurityGroupIds": [SSH_GROUP],
        "State": "stopped",
        "InstanceType": "rack.r640",
        "Tags": [{"Key": "Name", "Value": "web 7"}, {"Key": "env", "Value": "dev"}],
    }
    (found,) = world.client("ec2").describe_instances(InstanceIds=[WEB_7_ID])["Reservations"]
    assert found["Instances"][0]["PrivateIpAddress"] == "10.0.1.7"
    (event,) = world.events("RegisterInstance")
    assert event["responseElements"]["instance"]["instanceId"] == WEB_7_ID
    assert event["requestParameters"]["privateIpAddress"] == "10.0.1.7"


def test_one_that_says_little_runs_in_the_default_group_under_an_id_that_follows_from_its_name(
    client: Any,
) -> None:
    told = client.register_instance(**WEB_7)["Instance"]
    assert (told["InstanceId"], told["State"], told["SecurityGroupIds"]) == (
        WEB_7_ID,
        "running",
        [DEFAULT_GROUP],
    )


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"SubnetId": "subnet-nowhere"}, "ResourceNotFoundException", "no subnet subnet-nowhere"),
        ({"SecurityGroupIds": ["sg-none"]}, "ResourceNotFoundException", "no security group sg-none"),
        (
            {"SecurityGroupIds": [OTHER_DEFAULT_GROUP]},
            "ValidationException",
            f"SecurityGroupIds[0]: security group '{OTHER_DEFAULT_GROUP}' is of another VPC",
        ),
        ({"PrivateIpAddress": "10.0.2.7"}, "ValidationException", "PrivateIpAddress: 10.0.2.7 is not within"),
        (
            {"PrivateIpAddress": "10.0.1.255"},
            "ValidationException",
            "PrivateIpAddress: 10.0.1.255 is the broadcast address",
        ),
        ({"PrivateIpAddress": "10.0.1.07"}, "ValidationException", "PrivateIpAddress: '10.0.1.07' is not"),
        ({"PrivateIpAddress": ""}, "ValidationException", "has neither"),
        ({"Name": "a/b"}, "ValidationException", "'a/b' is not a name"),
        (
            {"Name": "a.b", "InstanceType": "T3"},
            "ValidationException",
            "InstanceType: 'T3' is not an instance type",
        ),
        (
            {"Tags": [{"Key": "env", "Value": "a"}, {"Key": "Env", "Value": "b"}]},
            "ValidationException",
            "Tags: the key 'Env' is there twice",
        ),
        ({"Tags": [{"Key": "aws:x", "Value": "a"}]}, "ValidationException", "Tags"),
        ({"Name": "web-1"}, "ConflictException", f"The instance {INSTANCE} has the name 'web-1' already"),
        ({"InstanceId": INSTANCE}, "ConflictException", f"There is an instance {INSTANCE} already"),
        ({"PrivateIpAddress": "10.0.1.1"}, "ConflictException", f"{INSTANCE} has the address 10.0.1.1"),
        ({"Ipv6Address": "fd00:1::1"}, "ConflictException", f"{INSTANCE} has the address fd00:1::1"),
        (
            {"PrivateIpAddress": "10.0.1.9"},
            "ConflictException",
            "eice-1 has the address 10.0.1.9",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_what_a_fleet_file_may_not_say_the_api_refuses(
    world: World, client: Any, given: dict[str, Any], code: str, said: str
) -> None:
    interface = NetworkInterface(
        id="eni-1",
        vpc_id=VPC,
        subnet_id=SUBNET,
        endpoint_id="eice-1",
        private_ip="10.0.1.9",
        ipv6=None,
        security_group_ids=(DEFAULT_GROUP,),
        description="",
    )
    world.change(lambda tx: tx.network_interfaces.put(interface))
    assert said in refused(lambda: client.register_instance(**{**WEB_7, **given}), code)


def test_the_same_address_may_be_in_another_vpc_and_the_name_of_a_renamed_host_keeps_its_id(
    client: Any,
) -> None:
    client.register_instance(**{**WEB_7, "SubnetId": SUBNET_ELSEWHERE, "PrivateIpAddress": "10.1.1.7"})
    client.modify_instance(InstanceId=WEB_7_ID, Name="renamed")
    message = refused(lambda: client.register_instance(**WEB_7), "ConflictException")
    assert message == f"There is an instance {WEB_7_ID} already, named 'renamed'."


def test_a_client_token_registers_once(client: Any) -> None:
    first = client.register_instance(**WEB_7, ClientToken="t")["Instance"]
    assert client.register_instance(**WEB_7, ClientToken="t")["Instance"] == first
    other = {**WEB_7, "Name": "web-8", "ClientToken": "t"}
    assert "other parameters" in refused(lambda: client.register_instance(**other), "ConflictException")
    client.deregister_instance(InstanceId=WEB_7_ID)
    again = {**WEB_7, "ClientToken": "t"}
    refused(lambda: client.register_instance(**again), "ResourceNotFoundException")


def test_what_a_change_does_not_name_stays(client: Any) -> None:
    told = client.modify_instance(
        InstanceId=INSTANCE, PrivateIpAddress="10.0.1.8", Tags=[{"Key": "env", "Value": "prod"}]
    )["Instance"]
    assert (told["Name"], told["PrivateIpAddress"], told["Ipv6Address"]) == ("web-1", "10.0.1.8", "fd00:1::1")
    assert told["Tags"] == [{"Key": "env", "Value": "prod"}]
    told = client.modify_instance(InstanceId=INSTANCE, Ipv6Address="", State="terminated", Name="old")
    assert "Ipv6Address" not in told["Instance"]
    assert (told["Instance"]["State"], told["Instance"]["Name"]) == ("terminated", "old")
    moved = client.modify_instance(
        InstanceId=INSTANCE,
        SubnetId=OTHER_SUBNET,
        PrivateIpAddress="10.0.2.8",
        SecurityGroupIds=[DEFAULT_GROUP],
    )["Instance"]
    assert (moved["SubnetId"], moved["SecurityGroupIds"]) == (OTHER_SUBNET, [DEFAULT_GROUP])


def test_a_change_that_says_what_is_so_already_changes_nothing(world: World, client: Any) -> None:
    with world.store.read() as tx:
        before = tx.instances.get(INSTANCE)
    client.modify_instance(InstanceId=INSTANCE, Name="web-1", State="running")
    with world.store.read() as tx:
        assert tx.instances.get(INSTANCE) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"InstanceId": "i-00000000ff"}, "ResourceNotFoundException"),
        ({"InstanceId": INSTANCE, "SubnetId": "subnet-x"}, "ResourceNotFoundException"),
        ({"InstanceId": INSTANCE, "PrivateIpAddress": "", "Ipv6Address": ""}, "ValidationException"),
        ({"InstanceId": INSTANCE, "Name": "db-1"}, "ConflictException"),
        ({"InstanceId": INSTANCE, "SubnetId": SUBNET_ELSEWHERE}, "ValidationException"),
    ],
)
def test_a_change_to_what_may_not_be_is_refused(client: Any, given: dict[str, Any], code: str) -> None:
    refused(lambda: client.modify_instance(**given), code)


def test_what_is_taken_out_takes_its_token_and_keys_along(world: World, client: Any) -> None:
    now = world.clock()
    key = PushedKey(
        instance_id=INSTANCE, os_user="u", fingerprint="f", public_key="k", expires_at=now, pushed_by="x"
    )
    world.change(lambda tx: tx.pushed_keys.put(key))
    token = HostToken(instance_id=INSTANCE, token_hash=b"h", created_at=now)
    world.change(lambda tx: tx.host_tokens.put(token))
    assert client.deregister_instance(InstanceId=INSTANCE)["Instance"]["Name"] == "web-1"
    with world.store.read() as tx:
        assert not tx.instances.find(id=INSTANCE)
        assert not tx.host_tokens.find()
        assert not tx.pushed_keys.find()
    refused(lambda: client.deregister_instance(InstanceId=INSTANCE), "ResourceNotFoundException")


def test_a_dry_run_registers_nothing(client: Any) -> None:
    refused(lambda: client.register_instance(**WEB_7, DryRun=True), "DryRunOperation")
    refused(lambda: client.modify_instance(InstanceId=WEB_7_ID), "ResourceNotFoundException")


def test_registering_is_allowed_by_subnet_and_by_the_tags_asked_for(world: World) -> None:
    key = world.user(
        "alice",
        allow(
            "hatchway:RegisterInstance",
            resource=ARNS.subnet(SUBNET),
            StringEquals={
                "aws:RequestTag/env": "dev",
                "aws:ResourceTag/tier": "web",
                "ec2:Vpc": ARNS.vpc(VPC),
            },
        ),
        allow("ec2:CreateTags"),
        {
            "Effect": "Deny",
            "Action": "hatchway:RegisterInstance",
            "Resource": ARNS.security_group(SSH_GROUP),
        },
    )
    alice = world.client("hatchway", key)
    dev = [{"Key": "env", "Value": "dev"}]
    alice.register_instance(**WEB_7, Tags=dev)
    web_8: dict[str, Any] = {**WEB_7, "Name": "web-8", "PrivateIpAddress": "10.0.1.8"}
    for more in (
        {},
        {"Tags": dev, "SubnetId": OTHER_SUBNET},
        {"Tags": dev, "SecurityGroupIds": [SSH_GROUP]},
        {"Tags": dev, "SubnetId": "subnet-unknown"},
    ):
        given = {**web_8, **more}
        refused(lambda given=given: alice.register_instance(**given), "AccessDeniedException")  # type: ignore[misc]


def test_changing_is_allowed_by_the_host_s_own_tags_and_moving_also_by_the_new_subnet(world: World) -> None:
    key = world.user(
        "alice",
        allow("hatchway:*Instance", resource=ARNS.instance("*"), StringEquals={"aws:ResourceTag/env": "dev"}),
        allow("ec2:CreateTags", "ec2:DeleteTags"),
    )
    alice = world.client("hatchway", key)
    alice.modify_instance(InstanceId=INSTANCE, State="stopped")
    move = {"InstanceId": INSTANCE, "SubnetId": OTHER_SUBNET, "PrivateIpAddress": "10.0.2.9"}
    refused(lambda: alice.modify_instance(**move), "AccessDeniedException")
    alice.modify_instance(InstanceId=INSTANCE, Tags=[{"Key": "env", "Value": "prod"}])
    refused(lambda: alice.modify_instance(InstanceId=INSTANCE, State="running"), "AccessDeniedException")
    refused(lambda: alice.deregister_instance(InstanceId=INSTANCE), "AccessDeniedException")
    # Whether there is such an instance is not for her to learn.
    refused(lambda: alice.deregister_instance(InstanceId="i-00000000ff"), "AccessDeniedException")


@pytest.mark.parametrize(
    "statements",
    [
        [allow("hatchway:ModifyInstance", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["note"]}})],
        [
            allow("hatchway:ModifyInstance"),
            {
                **allow("hatchway:ModifyInstance", **{"ForAnyValue:StringEquals": {"aws:TagKeys": "env"}}),
                "Effect": "Deny",
            },
        ],
    ],
    ids=["allows one key", "denies one key"],
)
def test_whoever_may_not_change_a_tag_cannot_leave_it_out_of_those_that_take_its_place(
    world: World, client: Any, statements: list[Any]
) -> None:
    alice = world.client("hatchway", world.user("alice", *statements, allow("ec2:*Tags")))
    note = [{"Key": "note", "Value": "x"}]
    for tags in ([], note, [*note, {"Key": "env", "Value": "dev"}]):
        given = {"InstanceId": INSTANCE, "Tags": tags}
        refused(lambda given=given: alice.modify_instance(**given), "AccessDeniedException")  # type: ignore[misc]
    alice.modify_instance(InstanceId=INSTANCE, State="stopped")
    client.modify_instance(InstanceId=INSTANCE, Tags=[])
    assert alice.modify_instance(InstanceId=INSTANCE, Tags=note)["Instance"]["Tags"] == note


def test_tags_are_guarded_by_the_permissions_of_ec2_whichever_way_an_instance_gets_them(
    world: World, client: Any
) -> None:
    owner, env, note = ({"Key": key, "Value": "x"} for key in ("owner", "env", "note"))
    statements = [
        allow("hatchway:*Instance"),
        allow(
            "ec2:CreateTags",
            resource=ARNS.instance("*"),
            **{
                "StringEqualsIfExists": {"ec2:CreateAction": "RegisterInstance"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["env", "note"]},
            },
        ),
        allow("ec2:DeleteTags", **{"ForAllValues:StringEquals": {"aws:TagKeys": "note"}}),
    ]
    alice = world.client("hatchway", world.user("alice", *statements))
    assert "ec2:CreateTags" in refused(
        lambda: alice.register_instance(**WEB_7, Tags=[owner]), "AccessDeniedException"
    )
    alice.register_instance(**WEB_7, Tags=[env, note])
    # What stays is neither given nor taken away.
    client.modify_instance(InstanceId=WEB_7_ID, Tags=[owner, env, note])
    alice.modify_instance(InstanceId=WEB_7_ID, Tags=[owner, {"Key": "env", "Value": "y"}])
    for kept, action in ([env], "ec2:DeleteTags"), ([{**owner, "Value": "y"}, env], "ec2:CreateTags"):
        given = {"InstanceId": WEB_7_ID, "Tags": kept}
        assert action in refused(lambda given=given: alice.modify_instance(**given), "AccessDeniedException")  # type: ignore[misc]
    alice.modify_instance(InstanceId=WEB_7_ID, State="stopped")
