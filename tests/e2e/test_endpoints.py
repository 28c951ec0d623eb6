"""Endpoints are made, described, changed and deleted by the AWS CLI, as far as the policies let it."""

from typing import Any

import pytest
from tests.e2e.aws import AwsCli
from tests.e2e.hatchway_server import ACCOUNT, DNS_NAME, Hatchway, allow

SUBNETS = f"arn:aws:ec2:us-east-1:{ACCOUNT}:subnet/*"
POLICY_1 = [
    allow(
        [
            "ec2:CreateInstanceConnectEndpoint",
            "ec2:DeleteInstanceConnectEndpoint",
            "ec2:ModifyInstanceConnectEndpoint",
            "ec2:CreateNetworkInterface",
            "ec2:CreateTags",
            "iam:CreateServiceLinkedRole",
        ],
        SUBNETS,
    ),
    allow("ec2:CreateNetworkInterface", "arn:aws:ec2:::security-group/*"),
    allow("ec2:DescribeInstanceConnectEndpoints"),
]


@pytest.fixture(scope="module")
def spare_subnet(hatchway: Hatchway) -> str:
    subnets = hatchway.root.json("ec2", "describe-subnets", "--filters", "Name=cidr-block,Values=10.0.2.0/24")
    found: str = subnets["Subnets"][0]["SubnetId"]
    return found


def endpoints(user: AwsCli, *options: str) -> Any:
    answer = user.json("ec2", "describe-instance-connect-endpoints", *options)
    return answer["InstanceConnectEndpoints"]


def test_policy_1_creates_describes_changes_and_deletes_an_endpoint(
    hatchway: Hatchway, spare_subnet: str
) -> None:
    carol = hatchway.user("carol", *POLICY_1)
    made = carol.json(
        "ec2", "create-instance-connect-endpoint", "--subnet-id", spare_subnet, "--client-token", "once",
        "--tag-specifications", "ResourceType=instance-connect-endpoint,Tags=[{Key=env,Value=dev}]",
    )["InstanceConnectEndpoint"]  # fmt: skip
    endpoint_id = made["InstanceConnectEndpointId"]
    assert made["SubnetId"] == spare_subnet
    assert made["DnsName"] == DNS_NAME
    assert made["Tags"] == [{"Key": "env", "Value": "dev"}]
    again = carol.json(
        "ec2", "create-instance-connect-endpoint", "--subnet-id", spare_subnet, "--client-token", "once",
        "--tag-specifications", "ResourceType=instance-connect-endpoint,Tags=[{Key=env,Value=dev}]",
    )["InstanceConnectEndpoint"]  # fmt: skip
    assert again["InstanceConnectEndpointId"] == endpoint_id

    (described,) = endpoints(carol, "--filters", "Name=tag:env,Values=d?v")
    assert described["State"] == "create-complete"
    interfaces = hatchway.root.json(
        "ec2", "describe-network-interfaces", "--network-interface-ids", *described["NetworkInterfaceIds"]
    )["NetworkInterfaces"]
    assert interfaces[0]["TagSet"] == [{"Key": "InstanceConnectEndpointId", "Value": endpoint_id}]

    groups = hatchway.root.json("ec2", "describe-security-groups")["SecurityGroups"]
    named = {group["GroupName"]: group["GroupId"] for group in groups}
    changed = carol.run(
        "ec2", "modify-instance-connect-endpoint", "--instance-connect-endpoint-id", endpoint_id,
        "--security-group-ids", named["open"],
    )  # fmt: skip
    assert changed.returncode == 0, changed.stderr
    (described,) = endpoints(carol, "--instance-connect-endpoint-ids", endpoint_id)
    assert described["SecurityGroupIds"] == [named["open"]]

    carol.json("ec2", "delete-instance-connect-endpoint", "--instance-connect-endpoint-id", endpoint_id)
    (described,) = endpoints(carol, "--instance-connect-endpoint-ids", endpoint_id)
    assert described["State"] == "delete-complete"
    assert hatchway.events(
        "DeleteInstanceConnectEndpoint",
        lambda event: event["requestParameters"]["instanceConnectEndpointId"] == endpoint_id,
    )


def test_a_dry_run_tells_whether_it_would_be_allowed_and_makes_nothing(
    hatchway: Hatchway, spare_subnet: str
) -> None:
    # A deleted endpoint goes from the list when its minute is over.
    usable = ("--filters", "Name=state,Values=create-complete,update-complete")
    before = len(endpoints(hatchway.root, *usable))
    argv = ["ec2", "create-instance-connect-endpoint", "--subnet-id", spare_subnet, "--dry-run"]
    assert "(DryRunOperation)" in hatchway.root.run(*argv).stderr
    nobody = hatchway.user("nobody", allow("sts:GetCallerIdentity"))
    refused = nobody.run(*argv).stderr
    assert "(UnauthorizedOperation)" in refused
    assert (
        f"User: arn:aws:iam::{ACCOUNT}:user/nobody is not authorized to perform: "
        "ec2:CreateInstanceConnectEndpoint on resource:"
    ) in refused
    assert "Encoded authorization failure message: " in refused
    assert len(endpoints(hatchway.root, *usable)) == before


def test_everyone_may_ask_who_they_are(hatchway: Hatchway) -> None:
    identity = hatchway.root.json("sts", "get-caller-identity")
    assert identity == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"}
    user = hatchway.root.json("iam", "create-user", "--user-name", "judy")["User"]
    key = hatchway.root.json("iam", "create-access-key", "--user-name", "judy")["AccessKey"]
    judy = hatchway.root.with_key(key["AccessKeyId"], key["SecretAccessKey"])
    identity = judy.json("sts", "get-caller-identity")
    assert identity == {"UserId": user["UserId"], "Account": ACCOUNT, "Arn": user["Arn"]}


def test_a_wrong_secret_is_refused(hatchway: Hatchway) -> None:
    stranger = hatchway.root.having(AWS_SECRET_ACCESS_KEY="x" * 40)
    assert "(SignatureDoesNotMatch)" in stranger.run("sts", "get-caller-identity").stderr
    assert "(AuthFailure)" in stranger.run("ec2", "describe-vpcs").stderr
