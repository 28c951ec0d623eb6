"""What an event is found by, as CloudTrail's LookupEvents has it. Pure.

A term is an attribute and its value, such as `Username=alice`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple

LONGEST_VALUE: Final = 300
"""Characters of a value that events are found by: no name here is as long."""
READ_ONLY: Final = ("ReadOnly=true", "ReadOnly=false")
"""Each event has one of these."""
NO_EVENT: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a text raises that is no event: who has a gateway's role may have entered it."""
MOST_RESOURCES: Final = 50
"""Of one event."""
_ID: Final = re.compile(r"(eice|eni|i|sgr?|subnet|vpc)-[0-9A-Za-z_]{8,64}|(AKIA|ASIA)[A-Z2-7]{16}", re.ASCII)
_TYPES: Final = {
    "AKIA": "AWS::IAM::AccessKey",
    "ASIA": "AWS::IAM::AccessKey",
    "eice": "AWS::EC2::InstanceConnectEndpoint",
    "eni": "AWS::EC2::NetworkInterface",
    "i": "AWS::EC2::Instance",
    "sg": "AWS::EC2::SecurityGroup",
    "sgr": "AWS::EC2::SecurityGroupRule",
    "subnet": "AWS::EC2::Subnet",
    "vpc": "AWS::EC2::VPC",
}
"""By what an id begins with (AWS: "Resource types supported by CloudTrail event history")."""
_FREE_TEXT: Final = re.compile("(tag|filter|description|token|name|value)", re.IGNORECASE)
"""What members are called in which callers write what they like."""

Event = Mapping[str, Any]


class Resource(NamedTuple):
    """Something that an event is about: its type in CloudFormation's words, and its name or id."""

    type: str
    name: str


def terms_of(event: Event) -> tuple[str, ...]:
    """All terms of an event, each once."""
    resources = resources_of(event)
    pairs = [
        ("EventName", event["eventName"]),
        ("EventSource", event["eventSource"]),
        ("ReadOnly", read_only_of(event)),
        ("Username", user_name_of(event)),
        ("AccessKeyId", event["userIdentity"].get("accessKeyId")),
    ]
    pairs += [("ResourceType", resource.type) for resource in resources]
    pairs += [("ResourceName", resource.name) for resource in resources]
    return tuple(dict.fromkeys([term(attribute, value) for attribute, value in pairs if value]))


def term(attribute: str, value: str) -> str:
    """The term of an attribute's value."""
    return f"{attribute}={value[:LONGEST_VALUE]}"


def read_only_of(event: Event) -> str:
    return "true" if event["readOnly"] else "false"


def user_name_of(event: Event) -> str | None:
    """The caller as LookupEvents names it: a user, `root`, or the session of a role.

    None of one that proved nothing.
    """
    identity = event["userIdentity"]
    name: str | None = identity.get("userName")
    match identity.get("type"):
        case "Root":
            return name or "root"
        case "AssumedRole":
            return str(identity.get("arn", "")).rpartition("/")[2] or None
    return name


def resources_of(event: Event) -> tuple[Resource, ...]:
    """What the event is about, each once: what its permissions were asked for, then what its ids name."""
    found = {Resource(each["type"], name_in(each["ARN"])): None for each in event.get("resources") or ()}
    for part in ("requestParameters", "responseElements"):
        named: list[Resource] = []
        _add_named(named, event.get(part))
        found |= dict.fromkeys(named)
    return tuple(islice(found, MOST_RESOURCES))


def _add_named(found: list[Resource], value: Any) -> None:
    """Add what ids within a value name, until there are `MOST_RESOURCES`."""
    if len(found) >= MOST_RESOURCES:
        return
    # Of what each tunnel does, this is a part: types are asked for in the order in which they come.
    if isinstance(value, str):
        if (named := _ID.fullmatch(value)) is not None:
            found.append(Resource(_TYPES[named[1] or named[2]], value))
    elif isinstance(value, dict):
        for name, member in value.items():
            if member and not _is_free_text(name):
                _add_named(found, member)
    elif isinstance(value, list | tuple):
        for item in value:
            _add_named(found, item)


@lru_cache(maxsize=1024)
def _is_free_text(name: str) -> bool:
    return _FREE_TEXT.search(name) is not None


def name_in(arn: str) -> str:
    """The name or id that an ARN ends with."""
    return arn.split(":", 5)[-1].rpartition("/")[2]
