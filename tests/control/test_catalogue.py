"""The operations that there are."""

import pytest

from hatchway.control.catalogue import OPERATIONS
from hatchway.control.operations import Call, Result, operation
from hatchway.control.services import services

PROMISED = {
    "ec2": [
        *(f"{verb}InstanceConnectEndpoint" for verb in ("Create", "Modify", "Delete")),
        "DescribeInstanceConnectEndpoints", "DescribeInstances", "DescribeVpcs", "DescribeSubnets",
        "DescribeSecurityGroups", "DescribeNetworkInterfaces",
    ],
    "cloudtrail": ["LookupEvents"],
    "ec2-instance-connect": ["SendSSHPublicKey"],
    "hatchway": [
        "ListTunnels", "TerminateTunnel", "ExplainDenial",
        "RegisterInstance", "ModifyInstance", "DeregisterInstance", "EnrollHost",
        "DescribeHostKeys",
        "CreateEnrollmentToken", "ListEnrollmentTokens", "DeleteEnrollmentToken",
        "PlanFleet", "ApplyFleet", "ExportFleet",
    ],
    "sts": [
        "AssumeRole", "GetSessionToken", "GetCallerIdentity", "GetAccessKeyInfo",
        "DecodeAuthorizationMessage",
    ],
    "iam": [
        "CreateUser", "GetUser", "ListUsers", "DeleteUser",
        "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey",
        "GetAccessKeyLastUsed",
        "PutUserPolicy", "GetUserPolicy", "ListUserPolicies", "DeleteUserPolicy",
        "CreateServiceLinkedRole", "GetRole",
    ],
}  # fmt: skip

WRITES_ALL_THE_SAME = {"GetSessionToken"}
READING = ("Decode", "Describe", "Explain", "Export", "Get", "List", "Lookup", "Plan", "Simulate")


@pytest.mark.parametrize(
    ("service", "name"), [(service, name) for service, names in PROMISED.items() for name in names]
)
def test_what_is_promised_is_there(service: str, name: str) -> None:
    assert OPERATIONS[service, name].name == name


def test_each_operation_is_in_its_service_s_model_and_reads_only_if_its_name_says_so() -> None:
    for (service, name), found in OPERATIONS.items():
        assert name in services()[service].model.operation_names
        reads_only = name.startswith(READING) and name not in WRITES_ALL_THE_SAME
        assert found.reads_only is reads_only, name


def test_an_operation_is_registered_once() -> None:
    def again(_call: Call) -> Result:
        return {}

    with pytest.raises(ValueError, match="already"):
        operation("sts", "GetCallerIdentity", reads_only=True)(again)
