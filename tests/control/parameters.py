"""Parameters with which an operation gets as far as its permission checks, made from its service's model."""

from collections.abc import Mapping
from typing import Any

from botocore.model import Shape
from tests.control.harness import ARNS, INSTANCE, SSH_GROUP, SUBNET, VPC

from hatchway.control.services import services

DOCUMENT = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}}'
TRUST = (
    '{"Version": "2012-10-17", "Statement":'
    ' {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}}'
)

WORDS: Mapping[str, str] = {
    "AccessKeyId": "AKIAAAAAAAAAAAAAAAAA",
    "Arn": ARNS.user("alice", "/"),
    "AssumeRolePolicyDocument": TRUST,
    "AWSServiceName": "ec2-instance-connect.amazonaws.com",
    "CidrBlock": "10.0.200.0/24",
    "EnrollmentTokenId": "et-00000000000000000",
    "GroupId": SSH_GROUP,
    "InstanceConnectEndpointId": "eice-0000000000000000f",
    "InstanceId": INSTANCE,
    "InstanceIds": INSTANCE,
    "JobId": "00000000-0000-0000-0000-000000000000",
    "PermissionsBoundary": "arn:aws:iam::123456789012:policy/none",
    "PolicyArn": "arn:aws:iam::123456789012:policy/none",
    "PolicyDocument": DOCUMENT,
    "PolicyInputList": DOCUMENT,
    "PolicySourceArn": ARNS.user("alice", "/"),
    "Resources": INSTANCE,
    "RoleArn": ARNS.role("none", "/"),
    "SubnetId": SUBNET,
    "TunnelId": "tun-00000000000000001",
    "UserName": "alice",
    "VersionId": "v1",
    "VpcId": VPC,
}
"""Texts that are more than a name, by the member that they suit."""


def required_parameters(service: str, operation: str) -> dict[str, Any]:
    """What an operation must be given, each of the smallest size that its model allows."""
    shape = services()[service].model.operation_model(operation).input_shape
    return {} if shape is None else _structure(shape)


def _structure(shape: Shape) -> dict[str, Any]:
    return {name: _value(shape.members[name], name) for name in shape.required_members}


def _value(shape: Shape, name: str) -> Any:
    match shape.type_name:
        case "structure":
            return _structure(shape)
        case "list":
            return [_value(shape.member, name)]
        case "string" if shape.enum:
            return shape.enum[0]
        case "string":
            return WORDS.get(name, "none")
        case "integer" | "long":
            return max(1, shape.metadata.get("min", 1))
        case "boolean":
            return True
        case "blob":
            return b"{}"
    raise AssertionError(f"{name}: a required {shape.type_name} needs a value here")
