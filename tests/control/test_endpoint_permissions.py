"""The permissions that endpoints need, each of them, through boto3 (docs/iam.md)."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.control.harness import (
    ARNS,
    DEFAULT_GROUP,
    OTHER_SUBNET,
    SSH_GROUP,
    SUBNET,
    Credentials,
    World,
)

from hatchway.access.failure_message import decode_failure_message

ACTIONS = [
    "ec2:CreateInstanceConnectEndpoint",
    "ec2:DeleteInstanceConnectEndpoint",
    "ec2:CreateNetworkInterface",
    "ec2:CreateTags",
    "iam:CreateServiceLinkedRole",
]
POLICY_1: list[dict[str, Any]] = [
    {"Sid": "Subnets", "Effect": "Allow", "Action": ACTIONS, "Resource": ARNS.subnet("*")},
    {
        "Effect": "Allow",
        "Action": ["ec2:CreateNetworkInterface"],
        "Resource": "arn:aws:ec2:::security-group/*",
    },
    {"Effect": "Allow", "Action": ["ec2:DescribeInstanceConnectEndpoints"], "Resource": "*"},
]
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def outcome(call: Callable[[], Any]) -> str:
    """`ok`, or the code of the error."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "ok"


def policy_1(**changes: Any) -> list[dict[str, Any]]:
    """The policy with its first statement changed."""
    policy = copy.deepcopy(POLICY_1)
    policy[0] |= changes
    return policy


def without(action: str) -> list[dict[str, Any]]:
    return policy_1(Action=[name for name in ACTIONS if name != action])


def create(world: World, who: Credentials, subnet: str = SUBNET, **parameters: Any) -> Any:
    return world.client("ec2", who).create_instance_connect_endpoint(SubnetId=subnet, **parameters)


def tagged(**tags: str) -> dict[str, Any]:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagSpecifications": [{"ResourceType": "instance-connect-endpoint", "Tags": pairs}]}


def test_policy_1_creates_describes_and_deletes_an_endpoint_in_any_subnet(world: World) -> None:
    ec2 = world.client("ec2", world.user("alice", *POLICY_1))
    for subnet in (SUBNET, OTHER_SUBNET):
        made = ec2.create_instance_connect_endpoint(SubnetId=subnet)["InstanceConnectEndpoint"]
        listed = ec2.describe_instance_connect_endpoints(
            InstanceConnectEndpointIds=[made["InstanceConnectEndpointId"]]
        )["InstanceConnectEndpoints"]
        assert [endpoint["State"] for endpoint in listed] == ["create-complete"]
        deleted = ec2.delete_instance_connect_endpoint(
            InstanceConnectEndpointId=made["InstanceConnectEndpointId"]
        )["InstanceConnectEndpoint"]
        assert deleted["State"] == "delete-complete"


@pytest.mark.parametrize(
    "missing", ["ec2:CreateInstanceConnectEndpoint", "ec2:CreateNetworkInterface", "ec2:CreateTags",
                "iam:CreateServiceLinkedRole"],
)  # fmt: skip
def test_without_any_one_of_its_actions_policy_1_creates_nothing(world: World, missing: str) -> None:
    alice = world.user("alice", *without(missing))
    with pytest.raises(ClientError) as caught:
        create(world, alice)
    assert caught.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert f"not authorized to perform: {missing} on resource: " in str(caught.value)
    with world.store.read() as tx:
        assert tx.endpoints.count() == tx.network_interfaces.count() == tx.roles.count() == 0


def test_without_its_statement_on_security_groups_policy_1_creates_nothing(world: World) -> None:
    alice = world.user("alice", POLICY_1[0], POLICY_1[2])
    assert outcome(lambda: create(world, alice)) == "UnauthorizedOperation"


def test_without_the_action_to_delete_policy_1_deletes_nothing(world: World) -> None:
    alice = world.user("alice", *without("ec2:DeleteInstanceConnectEndpoint"))
    made = create(world, alice)["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    ec2 = world.client("ec2", alice)
    delete = outcome(lambda: ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=made))
    assert delete == "UnauthorizedOperation"


def test_the_service_linked_role_is_asked_for_only_while_there_is_none(world: World) -> None:
    alice = world.user("alice", *without("iam:CreateServiceLinkedRole"))
    assert outcome(lambda: create(world, alice)) == "UnauthorizedOperation"
    world.client("iam").create_service_linked_role(AWSServiceName="ec2-instance-connect.amazonaws.com")
    assert outcome(lambda: create(world, alice)) == "ok"


def test_describe_under_subnets_alone_is_refused(world: World) -> None:
    alice = world.user("alice", POLICY_1[0], POLICY_1[2] | {"Resource": ARNS.subnet("*")})
    ec2 = world.client("ec2", alice)
    assert outcome(ec2.describe_instance_connect_endpoints) == "UnauthorizedOperation"


@pytest.mark.parametrize(
    "narrowing",
    [
        {"Resource": ARNS.subnet(SUBNET)},
        {"Condition": {"StringEquals": {"ec2:SubnetID": SUBNET}}},
        {"Condition": {"ArnLike": {"ec2:Vpc": ARNS.vpc("*")}, "StringLike": {"ec2:SubnetID": "*a"}}},
    ],
)
def test_narrowed_to_one_subnet_it_creates_and_deletes_in_no_other(
    world: World, narrowing: Mapping[str, Any]
) -> None:
    alice = world.user("alice", *policy_1(**narrowing))
    ec2 = world.client("ec2", alice)
    elsewhere = create(world, world.root, OTHER_SUBNET)["InstanceConnectEndpoint"]
    made = create(world, alice, SUBNET)["InstanceConnectEndpoint"]
    assert outcome(lambda: create(world, alice, OTHER_SUBNET)) == "UnauthorizedOperation"
    if "ArnLike" in str(narrowing):
        return  # ec2:Vpc is a key of creation alone.
    for endpoint, expected in ((elsewhere, "UnauthorizedOperation"), (made, "ok")):
        endpoint_id = endpoint["InstanceConnectEndpointId"]
        assert (
            outcome(lambda: ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id))  # noqa: B023
            == expected
        )


DEV = {"StringEquals": {"aws:ResourceTag/env": "dev"}}
DENY_PROD = {
    "Effect": "Deny",
    "Action": "ec2:CreateInstanceConnectEndpoint",
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:ResourceTag/env": "prod"}},
}
DENY_NOT_DEV = DENY_PROD | {"Condition": {"StringNotEquals": {"aws:ResourceTag/env": "dev"}}}


@pytest.mark.parametrize(
    ("statements", "allowed", "refused"),
    [
        (policy_1(Condition=DEV), [{"env": "dev"}, {"env": "dev", "a": "b"}], [{"env": "prod"}, {}]),
        (policy_1(Condition=DEV), [{"ENV": "dev"}], [{"env": "Dev"}]),
        ([*POLICY_1, DENY_PROD], [{"env": "dev"}, {}], [{"env": "prod"}]),
        ([*POLICY_1, DENY_NOT_DEV], [{"env": "dev"}], [{"env": "prod"}, {}]),
        # The subnet's tags count for keys that the endpoint will not carry.
        (policy_1(Condition={"StringEquals": {"aws:ResourceTag/tier": "web"}}), [{}], [{"tier": "db"}]),
        (policy_1(Condition={"StringEquals": {"aws:RequestTag/env": "dev"}}), [{"env": "dev"}], [{}]),
    ],
)
def test_tags_allow_and_deny_creation(
    world: World,
    statements: list[dict[str, Any]],
    allowed: list[dict[str, str]],
    refused: list[dict[str, str]],
) -> None:
    ec2 = world.client("ec2", world.user("alice", *statements))
    attempts = [*((tags, "DryRunOperation") for tags in allowed),
                *((tags, "UnauthorizedOperation") for tags in refused)]  # fmt: skip
    for tags, expected in attempts:
        more = tagged(**tags) if tags else {}
        got = outcome(lambda: ec2.create_instance_connect_endpoint(SubnetId=SUBNET, DryRun=True, **more))  # noqa: B023
        assert got == expected, tags


def test_no_tags_lead_past_a_guard_on_the_subnets(world: World) -> None:
    """The same through the API: for creation, modification and deletion."""

    def tag(value: str) -> None:
        with world.store.write() as tx:
            (subnet,) = tx.subnets.find(id=SUBNET)
            tx.subnets.put(replace(subnet, tags={"env": value}))

    deny_prod = DENY_PROD | {"Action": "ec2:*InstanceConnectEndpoint"}
    ec2 = world.client("ec2", world.user("alice", EVERYTHING, deny_prod))
    tag("prod")
    for asked in ({}, {"env": "dev"}, {"Env": "dev"}, {"env": ""}):
        made = outcome(lambda: ec2.create_instance_connect_endpoint(SubnetId=SUBNET, **tagged(**asked)))  # noqa: B023
        assert made == "UnauthorizedOperation", asked
    tag("dev")
    made = ec2.create_instance_connect_endpoint(SubnetId=SUBNET, **tagged(env="dev"))
    endpoint_id = made["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    tag("prod")
    modify = lambda: ec2.modify_instance_connect_endpoint(  # noqa: E731
        InstanceConnectEndpointId=endpoint_id, SecurityGroupIds=[SSH_GROUP]
    )
    delete = lambda: ec2.delete_instance_connect_endpoint(InstanceConnectEndpointId=endpoint_id)  # noqa: E731
    assert outcome(modify) == outcome(delete) == "UnauthorizedOperation"
    tag("dev")
    assert outcome(modify) == outcome(delete) == "ok"


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ({"Action": "ec2:Create*", "Resource": ARNS.endpoint("*")}, "UnauthorizedOperation"),
        ({"Action": "ec2:CreateInstanceConnectEndpoint", "Resource": ARNS.security_group(SSH_GROUP)},
         "UnauthorizedOperation"),
        ({"Action": "ec2:CreateNetworkInterface", "Resource": ARNS.security_group(SSH_GROUP)},
         "UnauthorizedOperation"),
        ({"Action": "ec2:CreateNetworkInterface", "Resource": ARNS.network_interface("*")},
         "UnauthorizedOperation"),
        ({"Action": "ec2:CreateInstanceConnectEndpoint", "Resource": "*",
          "Condition": {"StringEquals": {"ec2:SecurityGroupID": SSH_GROUP}}}, "UnauthorizedOperation"),
        ({"Action": "ec2:CreateTags", "Resource": "*",
          "Condition": {"StringEquals": {"ec2:CreateAction": "CreateInstanceConnectEndpoint"}}},
         "UnauthorizedOperation"),
        ({"Action": "iam:*", "Resource": "*",
          "Condition": {"StringEquals": {"iam:AWSServiceName": "ec2-instance-connect.amazonaws.com"}}},
         "UnauthorizedOperation"),
        ({"Action": "ec2:*", "Resource": "*",
          "Condition": {"StringEquals": {"ec2:AvailabilityZone": "us-east-1a", "ec2:Region": "us-east-1"}}},
         "UnauthorizedOperation"),
        ({"Action": "ec2:*", "Resource": "*",
          "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "env"}}}, "UnauthorizedOperation"),
        ({"Action": "ec2:*", "Resource": "*",
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, "DryRunOperation"),
        ({"Action": "ec2:CreateInstanceConnectEndpoint", "Resource": ARNS.security_group("sg-other")},
         "DryRunOperation"),
    ],
)  # fmt: skip
def test_a_deny_counts_on_everything_that_creation_touches(
    world: World, denied: dict[str, Any], expected: str
) -> None:
    ec2 = world.client("ec2", world.user("alice", EVERYTHING, {"Effect": "Deny", **denied}))
    create = lambda: ec2.create_instance_connect_endpoint(  # noqa: E731
        SubnetId=SUBNET, SecurityGroupIds=[DEFAULT_GROUP, SSH_GROUP], DryRun=True, **tagged(env="dev")
    )
    assert outcome(create) == expected


def test_modifying_needs_the_endpoint_or_its_subnet_and_no_deny_on_a_new_group(world: World) -> None:
    made = create(world, world.root)["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    action = "ec2:ModifyInstanceConnectEndpoint"
    allow = {"Effect": "Allow", "Action": action}
    deny_group = {"Effect": "Deny", "Action": action, "Resource": ARNS.security_group(SSH_GROUP)}
    cases: list[tuple[list[dict[str, Any]], str]] = [
        ([allow | {"Resource": ARNS.endpoint(made)}], "DryRunOperation"),
        ([allow | {"Resource": ARNS.subnet(SUBNET)}], "DryRunOperation"),
        ([allow | {"Resource": ARNS.subnet(OTHER_SUBNET)}], "UnauthorizedOperation"),
        ([allow | {"Resource": ARNS.security_group("*")}], "UnauthorizedOperation"),
        ([allow | {"Resource": "*"}, deny_group], "UnauthorizedOperation"),
    ]
    ec2 = world.client("ec2", world.user("alice"))
    for statements, expected in cases:
        world.allow("alice", *statements)
        modify = lambda: ec2.modify_instance_connect_endpoint(  # noqa: E731
            InstanceConnectEndpointId=made, SecurityGroupIds=[SSH_GROUP, DEFAULT_GROUP], DryRun=True
        )
        assert outcome(modify) == expected, statements


def test_who_may_not_ask_does_not_learn_what_is_there(world: World) -> None:
    made = create(world, world.root)["InstanceConnectEndpoint"]["InstanceConnectEndpointId"]
    alice = world.client("ec2", world.user("alice", *policy_1(Resource=ARNS.subnet(OTHER_SUBNET))))

    def message(call: Callable[[], Any]) -> str:
        with pytest.raises(ClientError) as caught:
            call()
        text = str(caught.value).partition(" (request id ")[0]
        return text.replace(made, "ID").replace("eice-0000000000000000f", "ID").replace(
            "subnet-0000000000000000f", "SUBNET"
        ).replace(SUBNET, "SUBNET")  # fmt: skip

    delete = alice.delete_instance_connect_endpoint
    assert message(lambda: delete(InstanceConnectEndpointId=made)) == message(
        lambda: delete(InstanceConnectEndpointId="eice-0000000000000000f")
    )
    create_in = alice.create_instance_connect_endpoint
    assert message(lambda: create_in(SubnetId=SUBNET)) == message(
        lambda: create_in(SubnetId="subnet-0000000000000000f")
    )


def test_a_refusal_tells_the_caller_a_sentence_and_the_audit_trail_the_reasons(world: World) -> None:
    alice = world.user("alice", *policy_1(Resource=ARNS.subnet(OTHER_SUBNET)))
    with pytest.raises(ClientError) as caught:
        create(world, alice)
    error = caught.value.response["Error"]
    sentence, _, encoded = error["Message"].partition(" Encoded authorization failure message: ")
    assert sentence == (
        "You are not authorized to perform this operation. User: arn:aws:iam::123456789012:user/alice is "
        f"not authorized to perform: ec2:CreateInstanceConnectEndpoint on resource: {ARNS.subnet(SUBNET)} "
        "because no identity-based policy allows the ec2:CreateInstanceConnectEndpoint action"
        f" (request id {caught.value.response['ResponseMetadata']['RequestId']})."
    )
    reasons = decode_failure_message(world.plane.vault, encoded)
    (event,) = world.events("CreateInstanceConnectEndpoint")
    assert event["errorCode"] == "Client.UnauthorizedOperation"
    assert event["additionalEventData"]["decision"]["checks"] == reasons["checks"]
    (miss,) = reasons["checks"][-1]["nearMisses"]
    assert (miss["policy"], miss["sid"]) == ("given", "Subnets")
    assert event["requestID"] == caught.value.response["ResponseMetadata"]["RequestId"]
    assert event["resources"] == [
        {"accountId": "123456789012", "type": "AWS::EC2::Subnet", "ARN": ARNS.subnet(SUBNET)}
    ]


def test_tags_that_differ_by_case_alone_refuse_even_the_root_user_and_the_reasons_say_so(
    world: World,
) -> None:
    with world.store.write() as tx:
        (subnet,) = tx.subnets.find(id=SUBNET)
        tx.subnets.put(replace(subnet, tags={"env": "dev", "Env": "prod"}))
    with pytest.raises(ClientError) as caught:
        create(world, world.root)
    error = caught.value.response["Error"]
    assert error["Code"] == "UnauthorizedOperation"
    encoded = error["Message"].partition(" Encoded authorization failure message: ")[2]
    told = json.loads(
        world.client("sts").decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"]
    )
    assert told["checks"][-1]["ambiguousKeys"] == ["aws:ResourceTag/env", "aws:ResourceTag/Env"]
    (event,) = world.events("CreateInstanceConnectEndpoint")
    assert event["additionalEventData"]["decision"]["checks"] == told["checks"]
    # A tag of the endpoint's own leads nobody past what the subnet's might have said.
    assert outcome(lambda: create(world, world.root, **tagged(ENV="dev"))) == "UnauthorizedOperation"


def test_an_explicit_deny_is_called_one(world: World) -> None:
    deny = {"Effect": "Deny", "Action": "ec2:Describe*", "Resource": "*"}
    with pytest.raises(ClientError, match="with an explicit deny in an identity-based policy"):
        world.client("ec2", world.user("alice", EVERYTHING, deny)).describe_vpcs()


def test_a_dry_run_says_whether_it_would_go_and_does_nothing(world: World) -> None:
    alice, bob = world.user("alice", *POLICY_1), world.user("bob")
    for who, expected, status in (
        (alice, "DryRunOperation", 412),
        (bob, "UnauthorizedOperation", 403),
    ):
        with pytest.raises(ClientError) as caught:
            create(world, who, DryRun=True)
        assert caught.value.response["Error"]["Code"] == expected
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    with world.store.read() as tx:
        assert tx.endpoints.count() == tx.roles.count() == 0
    events = world.events("CreateInstanceConnectEndpoint")
    assert [event["errorCode"] for event in events] == [
        "Client.DryRunOperation",
        "Client.UnauthorizedOperation",
    ]
    assert len(events[0]["additionalEventData"]["decision"]["checks"]) == 6
    assert json.dumps(events).count('"dryRun": true') == 2
