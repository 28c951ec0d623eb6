"""EC2's query bodies: as botocore writes them they mean what was meant; others are refused readably."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import noise
from fuzz.shapes import FORM, one_call, parsed
from hatchway.protocol import load_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPERATIONS = (
    "CreateInstanceConnectEndpoint",
    "DeleteInstanceConnectEndpoint",
    "DescribeInstanceConnectEndpoints",
    "DescribeInstances",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeVpcs",
    "ModifyInstanceConnectEndpoint",
    "RunInstances",
)


def one_input(data: bytes) -> None:
    one_call(data, ("ec2",), _OPERATIONS)


def seeds() -> list[bytes]:
    bodies = [
        b"Action=DescribeInstances&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-0a&InstanceId.1=i-0&MaxResults=5",
        b"Action=CreateInstanceConnectEndpoint&SubnetId=subnet-1&SecurityGroupId.1=sg-1&PreserveClientIp=true"
        b"&TagSpecification.1.ResourceType=instance-connect-endpoint&TagSpecification.1.Tag.1.Key=a"
        b"&TagSpecification.1.Tag.1.Value=%C3%A9&ClientToken=t&DryRun=false",
        b"Action=DescribeVpcs&VpcId.1=a&VpcId.1=b",
        b"Action=DescribeVpcs&VpcId.01=a&VpcId.=b&.=c&=&VpcId=d",
        b"Action=DescribeVpcs&MaxResults=%D9%A1&NextToken=%00",
        b"Action=DescribeVpcs&Filter.9999.Value.9999=%ED%A0%80",
        b"Action=RunInstances&MinCount=1&MaxCount=1&BlockDeviceMapping.1.Ebs.VolumeSize=99999999999",
    ]
    return [b"\0\2\0" + body for body in bodies] + [b"\0\2\3" + body for body in bodies] + noise(40, 120)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    start = b"Version=2016-11-15&Action=DescribeVpcs"
    bodies = {
        "many items": start + b"".join(b"&VpcId.%d=v" % number for number in range(1, min(4990, 20 * size))),
        "a long value": start + b"&VpcId.1=" + b"%41" * 20 * size,
        "a deep name": start + b"&" + b"a." * 20 * size + b"=1",
        "long indices": start + b"&VpcId." + b"9" * 20 * size + b"=1",
    }
    service = load_service("ec2")
    return {what: partial(parsed, service, "POST", "", FORM, {}, body) for what, body in bodies.items()}
