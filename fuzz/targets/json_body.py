"""JSON bodies: as botocore writes them they mean what was meant; others are refused readably."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import noise
from fuzz.shapes import JSON, one_call, parsed
from hatchway.protocol import load_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SERVICES = ("ec2-instance-connect", "cloudtrail", "hatchway")


def one_input(data: bytes) -> None:
    one_call(data, _SERVICES)


def seeds() -> list[bytes]:
    bodies = [
        b'{"InstanceId": "i-0123456789abcdef0", "InstanceOSUser": "ec2-user", "SSHPublicKey": "ssh"}',
        b'{"InstanceId": "\\ud800", "\\udfff": 1, "\\u0000": {"a": []}}',
        b'{"TunnelId": null, "MaxResults": 1e400, "NextToken": "\\u2028"}',
        b'{"StartTime": 99999999999999999999, "EndTime": -1.5e10, "LookupAttributes": [{"A": "a"}]}',
        b'{"MaxResults": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 2000,
        b"\xef\xbb\xbf{}",
        b'{"MaxResults": true, "InstanceId": {"a": "b"}, "SSHPublicKey": ["c"]}',
    ]
    return [bytes((service, 2, 0)) + body for body in bodies for service in range(3)] + noise(40, 120)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    service = load_service("ec2-instance-connect")
    headers = {"x-amz-target": f"{service.model.metadata['targetPrefix']}.SendSSHPublicKey"}
    bodies = {
        "many names": b"{%b}" % b",".join(b'"a%d":1' % number for number in range(20 * size)),
        "a long name": b'{"%b":1}' % (b"\\ud800" * 20 * size),
        "a long value": b'{"InstanceOSUser":"%b"}' % (b"a." * 20 * size),
        "deep lists": b'{"InstanceId":%b1%b}' % (b"[" * min(900, size), b"]" * min(900, size)),
        "a long number": b'{"InstanceId":%b}' % (b"9" * 20 * size),
    }
    return {what: partial(parsed, service, "POST", "", JSON, headers, body) for what, body in bodies.items()}
