"""The condition keys of every operation's requests are those that the table says."""

import re
from collections import defaultdict
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.access.carried_keys import contradictions, unseen
from tests.control.harness import (
    ACCOUNT,
    ARNS,
    INSTANCE,
    OTHER_SUBNET,
    SSH_GROUP,
    SUBNET,
    VPC,
    Credentials,
    World,
)
from tests.control.parameters import required_parameters

from hatchway.access import authorization
from hatchway.control.catalogue import OPERATIONS
from hatchway.iam import Decision, PolicySet, Request, evaluate
from hatchway.policies.reference import aws_facts
from hatchway.protocol.service_models import OWN_MODELS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII/UQTo0IOgqf08pw8nQ30OHuyubH0fE2z5xb/DMbl1X me@here"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ALICE = {"UserName": "alice"}
TAG = {"Key": "env", "Value": "dev"}
GRANTED_TO_ALL = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}
"""Operations without a permission check."""

BESIDES = {
    # AWS's example policy grants it on subnets.
    "iam:CreateServiceLinkedRole": ("arn:aws:ec2:*:subnet/*",),
    # Of a key that nobody has there is no user.
    "iam:GetAccessKeyLastUsed": ("[*]",),
}
"""Other resources about which an action is asked."""

SOME_RULE = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.7.0.0/16"}]}


def tagged(kind: str) -> dict[str, Any]:
    """A new resource's tags, as EC2 is told them."""
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": [TAG]}]}


PARAMETERS: dict[tuple[str, str], dict[str, Any]] = {
    ("ec2", "CreateInstanceConnectEndpoint"): tagged("instance-connect-endpoint"),
    ("ec2", "AssociateSubnetCidrBlock"): {"Ipv6CidrBlock": "fd00:1:0:9::/64"},
    ("ec2", "AssociateVpcCidrBlock"): {"CidrBlock": "10.9.0.0/16"},
    ("ec2", "AuthorizeSecurityGroupEgress"): {
        "IpPermissions": [SOME_RULE],
        **tagged("security-group-rule"),
    },
    ("ec2", "AuthorizeSecurityGroupIngress"): {
        "GroupId": SSH_GROUP,
        "IpPermissions": [SOME_RULE],
        **tagged("security-group-rule"),
    },
    ("ec2", "CreateSecurityGroup"): {"VpcId": VPC, **tagged("security-group")},
    ("ec2", "CreateSubnet"): tagged("subnet"),
    ("ec2", "CreateVpc"): {"CidrBlock": "10.8.0.0/16", **tagged("vpc")},
    ("ec2", "DeleteSecurityGroup"): {"GroupId": SSH_GROUP},
    ("ec2", "ModifySecurityGroupRules"): {
        "SecurityGroupRules": [
            {
                "SecurityGroupRuleId": "sgr-0000000000000000f",
                "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "10.0.0.0/8"},
            }
        ]
    },
    ("ec2", "ModifySubnetAttribute"): {"MapPublicIpOnLaunch": {"Value": True}},
    ("ec2", "ModifyVpcAttribute"): {"EnableDnsSupport": {"Value": True}},
    ("ec2", "RevokeSecurityGroupIngress"): {"GroupId": SSH_GROUP},
    ("ec2", "UpdateSecurityGroupRuleDescriptionsEgress"): {"GroupId": SSH_GROUP},
    ("ec2", "UpdateSecurityGroupRuleDescriptionsIngress"): {"GroupId": SSH_GROUP},
    ("ec2", "CreateTags"): {"Resources": [SUBNET], "Tags": [TAG]},
    ("ec2", "DeleteTags"): {"Resources": [SUBNET], "Tags": [TAG]},
    ("ec2", "ModifyInstanceConnectEndpoint"): {"PreserveClientIp": True},
    ("ec2-instance-connect", "SendSSHPublicKey"): {"SSHPublicKey": KEY},
    ("hatchway", "CreateEnrollmentToken"): {"Tags": [TAG]},
    ("hatchway", "ModifyInstance"): {"SubnetId": OTHER_SUBNET, "Tags": [{"Key": "tier", "Value": "web"}]},
    ("hatchway", "RegisterInstance"): {"Tags": [TAG]},
    ("iam", "CreatePolicy"): {"Tags": [TAG]},
    ("iam", "CreateRole"): {"Tags": [TAG]},
    ("iam", "CreateUser"): {"UserName": "bob", "Tags": [TAG]},
    ("iam", "GetUser"): ALICE,
    ("iam", "ListAccessKeys"): ALICE,
    ("iam", "SimulateCustomPolicy"): {"ActionNames": ["ec2:CreateTags"]},
    ("iam", "SimulatePrincipalPolicy"): {"ActionNames": ["ec2:CreateTags"]},
    ("sts", "AssumeRole"): {"Tags": [TAG], "TransitiveTagKeys": ["env"]},
}
"""Of operations to which what their models require is not enough, the rest."""


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """With our model beside botocore's own, as AWS_DATA_PATH puts it there."""
    session = boto3.Session()
    session._loader.search_paths.append(str(OWN_MODELS))
    return session


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Every request that is put to policies."""
    requests: list[Request] = []

    def noting(request: Request, policies: PolicySet) -> Decision:
        requests.append(request)
        return evaluate(request, policies)

    monkeypatch.setattr(authorization, "evaluate", noting)
    return requests


def call(client: Any, operation: str, parameters: dict[str, Any]) -> None:
    """Call it, whatever comes of it."""
    method = next(name for name, api in client.meta.method_to_api_mapping.items() if api == operation)
    with suppress(ClientError):
        getattr(client, method)(**parameters)


def misdirected(requests: list[Request]) -> dict[str, set[str]]:
    """What is asked of policies about a resource of another kind than AWS's reference says, by the action.

    An action that the reference gives no resource type is asked about `*` (AWS: "Service Authorization
    Reference").
    """
    reference = aws_facts()
    found: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        service, _, name = request.action.partition(":")
        facts = reference.service(service)
        action = facts.actions.get(name.lower()) if facts is not None else None
        assert action is not None, f"there is no action {request.action}"
        patterns = [_glob(kind.arn) for kind in action.resource_types] or ["[*]"]
        patterns += BESIDES.get(request.action, ())
        if any(":user/" in pattern for pattern in patterns):
            patterns.append(ARNS.root)
        for resource in request.resources:
            if not any(fnmatchcase(resource, pattern) for pattern in patterns):
                found[request.action].add(f"{resource}, not {' or '.join(patterns)}")
    return dict(found)


def _glob(arn: str) -> str:
    """What matches the ARNs of a kind of resource."""
    return re.sub(r"\$\{\w+\}", "*", arn)


def test_every_operation_s_requests_carry_what_the_table_of_global_keys_says(
    world: World, asked: list[Request]
) -> None:
    world.user("alice", tags={"team": "red"})
    people = [
        world.user("admin", EVERYTHING, tags={"team": "blue"}),
        world.user("plain", EVERYTHING),
        world.root,
        Credentials.temporary(
            world.client("sts", world.user("carol", EVERYTHING)).assume_role(
                RoleArn=world.role(
                    "on-call", EVERYTHING, trust={"Principal": {"AWS": ACCOUNT}, "Action": "sts:*"}
                ),
                RoleSessionName="carol",
                SourceIdentity="carol",
            )
        ),
    ]
    asked.clear()
    checked = set()
    for who in people:
        clients = {service: world.client(service, who) for service in {service for service, _ in OPERATIONS}}
        for service, operation in sorted(OPERATIONS):
            before = len(asked)
            more = PARAMETERS.get((service, operation), {})
            call(clients[service], operation, {**required_parameters(service, operation), **more})
            if len(asked) > before:
                checked.add((service, operation))

    assert set(OPERATIONS) - checked == GRANTED_TO_ALL
    assert misdirected(asked) == {}
    keys = [request.keys for request in asked]
    assert contradictions(keys) == []
    assert unseen(keys) == []


def test_the_account_of_the_resource_is_told_where_there_is_one(world: World, asked: list[Request]) -> None:
    world.client("ec2").describe_vpcs()
    world.client("iam").list_users()
    world.client("ec2").create_instance_connect_endpoint(SubnetId=SUBNET)

    for request in asked:
        expected = None if request.resources == ("*",) else ACCOUNT
        assert request.keys.get("aws:resourceaccount") == expected


def test_the_deny_by_source_address_that_aws_gives_as_its_example_denies(world: World) -> None:
    """(AWS IAM User Guide, "AWS: Denies access to AWS based on the source IP".)"""
    deny = {
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": {
            "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
            "Bool": {"aws:ViaAWSService": "false"},
        },
    }
    alice = world.user("alice", EVERYTHING, deny)
    with pytest.raises(ClientError) as caught:
        world.client("ec2", alice).describe_instances()
    assert caught.value.response["Error"]["Code"] == "UnauthorizedOperation"
    assert "with an explicit deny in an identity-based policy" in caught.value.response["Error"]["Message"]

    deny["Condition"]["NotIpAddress"] = {"aws:SourceIp": ["192.0.2.0/24", "127.0.0.0/8"]}  # type: ignore[index]
    world.allow("alice", EVERYTHING, deny)
    world.client("ec2", alice).describe_instances()


def test_a_deny_of_what_is_not_of_one_s_own_team_denies_who_has_none(world: World) -> None:
    deny = {
        "Effect": "Deny",
        "Action": "ec2-instance-connect:SendSSHPublicKey",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:ResourceTag/env": "${aws:PrincipalTag/env}"}},
    }
    pushed = {"InstanceId": INSTANCE, "InstanceOSUser": "ec2-user", "SSHPublicKey": KEY}
    for name, tags, allowed in (
        ("in", {"env": "dev"}, True),
        ("out", {"env": "x"}, False),
        ("none", {}, False),
    ):
        client = world.client("ec2-instance-connect", world.user(name, EVERYTHING, deny, tags=tags))
        if allowed:
            assert client.send_ssh_public_key(**pushed)["Success"]
        else:
            with pytest.raises(ClientError, match="with an explicit deny"):
                client.send_ssh_public_key(**pushed)
