"""Query bodies of IAM and STS: as botocore writes them they mean what was meant; others are refused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fuzz.draws import noise
from fuzz.shapes import FORM, one_call, parsed
from hatchway.protocol import load_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def one_input(data: bytes) -> None:
    one_call(data, ("iam", "sts"))


def seeds() -> list[bytes]:
    bodies = [
        b"Action=CreateUser&UserName=alice&Path=%2Fa%2F&Tags.member.1.Key=a&Tags.member.1.Value=",
        b"Action=PutUserPolicy&UserName=alice&PolicyName=p&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%7D",
        b"Action=SimulateCustomPolicy&PolicyInputList.member.1=%7B%7D&ActionNames.member.1=ec2%3A*"
        b"&ContextEntries.member.1.ContextKeyName=a&ContextEntries.member.1.ContextKeyValues.member.1=b"
        b"&ContextEntries.member.1.ContextKeyType=string",
        b"Action=ListUsers&Marker=%ED%A0%80&MaxItems=0",
        b"Action=AssumeRole&RoleArn=arn&RoleSessionName=a%00b&DurationSeconds=-1",
        b"Action=ListUsers&PathPrefix=",
    ]
    return [bytes((service, 2, 0)) + body for body in bodies for service in (0, 1)] + noise(40, 120)


def growing(size: int) -> Mapping[str, Callable[[], object]]:
    def start(action: bytes) -> bytes:
        return b"Version=2010-05-08&Action=" + action

    bodies = {
        "a long path": start(b"CreateUser") + b"&UserName=a&Path=" + b"%2Fa" * 20 * size,
        "a long name": start(b"CreateUser") + b"&UserName=" + b"a" * 20 * size + b"%20",
        "a long document": start(b"PutUserPolicy")
        + b"&UserName=a&PolicyName=a&PolicyDocument="
        + b"%09a" * 20 * size,
        "many tags": start(b"CreateUser")
        + b"".join(b"&Tags.member.%d.Key=a" % number for number in range(1, min(4990, 20 * size))),
    }
    service = load_service("iam")
    return {what: partial(parsed, service, "POST", "", FORM, {}, body) for what, body in bodies.items()}
