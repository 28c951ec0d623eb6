"""Each waiter and paginator that botocore has of an operation here: waiters end, and pages hold all once.

Those that a new model brings are asked about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import UnknownServiceError, WaiterError
from tests.control.harness import (
    ARNS,
    INSTANCE,
    SSH_GROUP,
    STOPPED_INSTANCE,
    SUBNET,
    VPC,
    SharedServer,
    World,
    new_world,
)
from tests.control.hatchway_service.test_tunnels import carry
from tests.control.parameters import DOCUMENT, TRUST

from hatchway.control.catalogue import OFFERED
from hatchway.domain.account import Quotas
from hatchway.domain.tunnel import GatewayWorker
from hatchway.protocol.service_models import OWN_MODELS

SMALLEST = {"ec2": 5}
"""The smallest page of a service's calls, 1 of the others."""
MORE = 6
"""Things of each kind."""

SESSION = boto3.Session()
SESSION._loader.search_paths.append(str(OWN_MODELS))

ALICE, GROUP, ROLE = {"UserName": "alice"}, {"GroupName": "group-0"}, {"RoleName": "on-call"}
POLICY = {"PolicyArn": ARNS.managed_policy("policy-0")}
ACTIONS = {"ActionNames": ["ec2:CreateTags", "ec2:CreateVpc", "iam:GetUser"]}


def models(kind: str, part: str) -> list[tuple[str, str, Mapping[str, Any]]]:
    """What botocore has of the operations here: the service, the name and the model of each."""
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for service in OFFERED:
        try:
            named = SESSION._loader.load_service_model(service, kind)[part]
        except UnknownServiceError:
            continue
        found += [
            (service, name, model)
            for name, model in named.items()
            if model.get("operation", name) in OFFERED[service]
        ]
    return found


WAITERS: Mapping[str, Mapping[str, Any]] = {
    "InstanceExists": {"InstanceIds": [INSTANCE]},
    "InstanceRunning": {"InstanceIds": [INSTANCE]},
    "InstanceStatusOk": {"InstanceIds": [INSTANCE]},
    "InstanceStopped": {"InstanceIds": [STOPPED_INSTANCE]},
    "PolicyExists": POLICY,
    "RoleExists": ROLE,
    "SecurityGroupExists": {"GroupIds": [SSH_GROUP]},
    "SubnetAvailable": {"SubnetIds": [SUBNET]},
    "SystemStatusOk": {"InstanceIds": [INSTANCE]},
    "UserExists": ALICE,
    "VpcAvailable": {"VpcIds": [VPC]},
    "VpcExists": {"VpcIds": [VPC]},
}
GONE: Mapping[str, Mapping[str, Any]] = {
    # A host that was taken out is not there any more: nothing is ever `terminated`.
    "InstanceTerminated": {"InstanceIds": ["i-00000000000000fff"]},
    # Each is an endpoint's: in use as long as it is there.
    "NetworkInterfaceAvailable": {"NetworkInterfaceIds": ["eni-00000000000000fff"]},
    # There are none.
    "InternetGatewayExists": {"InternetGatewayIds": ["igw-00000000000000fff"]},
}
"""Those that wait for what never comes: they are told so, and do not wait."""

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "GetGroup": GROUP,
    "GetSecurityGroupsForVpc": {"VpcId": VPC},
    "ListAccessKeys": ALICE,
    "ListAttachedGroupPolicies": GROUP,
    "ListAttachedRolePolicies": ROLE,
    "ListAttachedUserPolicies": ALICE,
    "ListEntitiesForPolicy": POLICY,
    "ListGroupPolicies": GROUP,
    "ListGroupsForUser": ALICE,
    "ListInstanceProfilesForRole": ROLE,
    "ListPolicyTags": POLICY,
    "ListPolicyVersions": POLICY,
    "ListRolePolicies": ROLE,
    "ListRoleTags": ROLE,
    "ListUserPolicies": ALICE,
    "ListUserTags": ALICE,
    # To look is an event too.
    "LookupEvents": {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "CreateGroup"}]},
    "SimulateCustomPolicy": {**ACTIONS, "PolicyInputList": [DOCUMENT]},
    "SimulatePrincipalPolicy": {**ACTIONS, "PolicySourceArn": ARNS.user("alice")},
}
ONE_PAGE = {
    "DescribeInternetGateways",
    "DescribeNetworkAcls",
    "DescribeRouteTables",
    "ListAccountAliases",
    "ListInstanceProfilesForRole",
    "ListMFADevices",
    "ListSSHPublicKeys",
    "ListSigningCertificates",
    "ListVirtualMFADevices",
}
"""Listings of what there is none of, or one at most."""


@pytest.fixture(scope="module")
def account(
    shared_server: SharedServer, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """An account with several things of each kind."""
    directory = tmp_path_factory.mktemp("account")
    with new_world(shared_server, empty_database, directory, SESSION) as world:
        furnish_networks(world)
        furnish_identities(world.client("iam"))
        own = world.client("hatchway")
        for number in range(MORE):
            own.create_enrollment_token(SubnetId=SUBNET)
            own.register_instance(
                Name=f"host-{number}", SubnetId=SUBNET, PrivateIpAddress=f"10.0.1.{100 + number}",
                InstanceType=f"type.{number}",
            )  # fmt: skip
            carry(world, number)
        lease = world.clock() + timedelta(hours=1)
        alive = GatewayWorker(id="gw-1", host="h", port=443, started_at=world.clock(), lease_until=lease)
        world.change(lambda tx: tx.gateway_workers.put(alive))
        yield world


def furnish_networks(world: World) -> None:
    many = Quotas(
        endpoints_per_account=MORE, endpoints_per_vpc=MORE, endpoints_per_subnet=MORE, vpcs_per_account=9
    )
    world.change(lambda tx: tx.accounts.put(replace(tx.account(), quotas=many)))
    ec2 = world.client("ec2")
    for number in range(MORE):
        ec2.create_instance_connect_endpoint(SubnetId=SUBNET)
        vpc_id = ec2.create_vpc(CidrBlock=f"10.{50 + number}.0.0/16")["Vpc"]["VpcId"]
        ec2.create_security_group(VpcId=VPC, GroupName=f"web-{number}", Description="Web servers")
        ec2.create_subnet(VpcId=vpc_id, CidrBlock=f"10.{50 + number}.1.0/24")
        ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "env", "Value": "dev"}])


def furnish_identities(iam: Any) -> None:
    iam.create_user(**ALICE)
    iam.create_role(**ROLE, AssumeRolePolicyDocument=TRUST)
    iam.create_account_alias(AccountAlias="office")
    for number in range(3):
        other, policy = f"user-{number}", f"policy-{number}"
        iam.create_user(UserName=other)
        iam.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=TRUST)
        iam.create_group(GroupName=f"group-{number}")
        iam.add_user_to_group(UserName=other, **GROUP)
        iam.add_user_to_group(**ALICE, GroupName=f"group-{number}")
        arn = iam.create_policy(PolicyName=policy, PolicyDocument=DOCUMENT)["Policy"]["Arn"]
        inline = {"PolicyName": policy, "PolicyDocument": DOCUMENT}
        for kind, named in (("user", ALICE), ("group", GROUP), ("role", ROLE)):
            getattr(iam, f"attach_{kind}_policy")(**named, PolicyArn=arn)
            getattr(iam, f"put_{kind}_policy")(**named, **inline)
        tags = [{"Key": f"key-{number}", "Value": "x"}]
        iam.tag_user(**ALICE, Tags=tags)
        iam.tag_role(**ROLE, Tags=tags)
        iam.tag_policy(**POLICY, Tags=tags)
        iam.create_policy_version(**POLICY, PolicyDocument=DOCUMENT)
    for _ in range(2):
        iam.create_access_key(**ALICE)


@pytest.mark.parametrize(("service", "name", "model"), models("waiters-2", "waiters"))
def test_a_waiter_ends(account: World, service: str, name: str, model: Mapping[str, Any]) -> None:
    client = account.client(service)
    (method,) = (each for each in client.waiter_names if each.replace("_", "") == name.lower())
    waiter = client.get_waiter(method)
    if name in GONE:
        with pytest.raises(WaiterError, match="NotFound"):
            waiter.wait(**GONE[name])
    else:
        # It is met at once: there is no second attempt.
        waiter.wait(**WAITERS[name], WaiterConfig={"MaxAttempts": 1})
    assert model["operation"] in OFFERED[service]


@pytest.mark.parametrize(("service", "name", "model"), models("paginators-1", "pagination"))
def test_pages_hold_all_once(account: World, service: str, name: str, model: Mapping[str, Any]) -> None:
    client = account.client(service)
    (method,) = (each for each, api in client.meta.method_to_api_mapping.items() if api == name)
    paginator, parameters = client.get_paginator(method), PARAMETERS.get(name, {})
    whole = paginator.paginate(**parameters).build_full_result()
    pages = list(paginator.paginate(**parameters, PaginationConfig={"PageSize": SMALLEST.get(service, 1)}))
    keys = model["result_key"] if isinstance(model["result_key"], list) else [model["result_key"]]
    for key in keys:
        assert [each for page in pages for each in page.get(key) or ()] == whole[key]
    assert (len(pages) > 1) is (name not in ONE_PAGE)
