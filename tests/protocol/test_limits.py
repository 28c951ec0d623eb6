"""Limits, patterns and enumerations are those of botocore's model; where ours differ, it is said why."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import String

from hatchway.access.failure_message import SIZE
from hatchway.client.discovery.os_user import is_os_user
from hatchway.control.catalogue import OPERATIONS
from hatchway.control.ec2 import (
    endpoints,
    instances,
    network,
    network_interfaces,
    paging,
    security_groups,
    tags,
)
from hatchway.control.hosts import authorized_keys
from hatchway.domain import endpoint, ids, public_key
from hatchway.domain.endpoint import IpAddressType
from hatchway.fleet import identity_sections, values
from hatchway.iam.document_text import MAX_DOCUMENT_CHARACTERS
from hatchway.keys.vault import Vault
from hatchway.protocol import load_service
from hatchway.protocol.violations import Kind, Naming, compile_pattern, find_violations
from hatchway.store import tables

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

    from botocore.model import Shape

NAMING = Naming(member=lambda _, name: name, item=str)
LISTINGS = (
    endpoints.ENDPOINTS,
    instances.INSTANCES,
    network.SUBNETS,
    network.VPCS,
    network_interfaces.NETWORK_INTERFACES,
    security_groups.SECURITY_GROUPS,
)


def shape(service: str, name: str) -> Shape:
    return load_service(service).model.shape_for(name)


def bounds(service: str, name: str) -> tuple[int | None, int | None]:
    metadata = shape(service, name).metadata
    return metadata.get("min"), metadata.get("max")


LONGEST = identity_sections._LONGEST_NAME
PUSH = "ec2-instance-connect"

SAME = {
    "a key's length": ((public_key.MIN_LENGTH, public_key.MAX_LENGTH), bounds(PUSH, "SSHPublicKey")),
    "security groups": (endpoint.MAX_SECURITY_GROUPS, bounds("ec2", "SecurityGroupIdStringListRequest")[1]),
    "address types": (
        sorted(kind.value for kind in IpAddressType),
        sorted(shape("ec2", "IpAddressType").enum),
    ),
    "tags of IAM": (values.MAX_TAGS, bounds("iam", "tagListType")[1]),
    "keys of IAM's tags": ((1, values.MAX_TAG_KEY), bounds("iam", "tagKeyType")),
    "values of IAM's tags": ((0, values.MAX_TAG_VALUE), bounds("iam", "tagValueType")),
    "a user's name": ((1, LONGEST["user"]), bounds("iam", "userNameType")),
    "a group's name": ((1, LONGEST["group"]), bounds("iam", "groupNameType")),
    "a role's name": ((1, LONGEST["role"]), bounds("iam", "roleNameType")),
    "a policy's name": ((1, LONGEST["policy"]), bounds("iam", "policyNameType")),
    "a path": ((1, 512), bounds("iam", "pathType")),
    "a role's session": ((3600, 43200), bounds("iam", "roleMaxSessionDurationType")),
    "a description": (1000, bounds("iam", "roleDescriptionType")[1]),
    **{
        f"pages of {listing.action}": (
            (listing.least_page, paging.LARGEST_PAGE),
            bounds("ec2", f"{listing.action}MaxResults"),
        )
        for listing in LISTINGS
        if listing not in (endpoints.ENDPOINTS, instances.INSTANCES)
    },
}
"""Ours, and the model's."""

DIFFERENT: dict[str, tuple[Any, Any, Any, str]] = {
    "pages of DescribeInstanceConnectEndpoints": (
        (endpoints.ENDPOINTS.least_page, paging.LARGEST_PAGE),
        bounds("ec2", "InstanceConnectEndpointMaxResults"),
        (1, 50),
        "the model's bound is enforced on MaxResults; without MaxResults a page holds as many as any other",
    ),
    "pages of DescribeInstances": (
        (instances.INSTANCES.least_page, paging.LARGEST_PAGE),
        bounds("ec2", "Integer"),
        (None, None),
        "the reference says 5 to 1,000, and the model nothing",
    ),
    "an instance's id": (
        ids.INSTANCE_ID.pattern,
        shape(PUSH, "InstanceId").metadata["pattern"],
        "^i-[a-f0-9]+$",
        "the fleet file takes the ids that the AWS CLI takes; keys can be pushed to hexadecimal ones alone",
    ),
    "the OS user that a host asks for": (
        authorized_keys._LONGEST_USER,
        bounds(PUSH, "InstanceOSUser")[1],
        32,
        "sshd asks for whoever wants to log in; for a name that is none there are no keys",
    ),
    "a policy's document": (
        MAX_DOCUMENT_CHARACTERS,
        bounds("iam", "policyDocumentType")[1],
        131_072,
        "the library reads files too; the quotas of IAM hold for whatever is attached",
    ),
    "tags of EC2": (
        (tags.MOST_TAGS, tags._LONGEST_KEY, tags._LONGEST_VALUE),
        (*bounds("ec2", "TagList"), *bounds("ec2", "Tag")),
        (None, None, None, None),
        "the limits are in the user guide, and not in the model",
    ),
}
"""Ours, the model's, what the model said when the reason was given, and the reason."""


@pytest.mark.parametrize("name", SAME)
def test_a_limit_is_the_model_s(name: str) -> None:
    ours, theirs = SAME[name]
    assert ours == theirs


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_does_so_on_purpose(name: str) -> None:
    ours, theirs, seen, reason = DIFFERENT[name]
    assert ours != theirs, f"{name} no longer differs: have it among SAME"
    assert theirs == seen, f"the model has changed: see whether still {reason}"


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (identity_sections._NAME, "userNameType"),
        (identity_sections._NAME, "groupNameType"),
        (identity_sections._NAME, "roleNameType"),
        (identity_sections._NAME, "policyNameType"),
    ],
)
def test_names_have_the_characters_of_the_model(ours: re.Pattern[str], name: str) -> None:
    theirs = compile_pattern(shape("iam", name).metadata["pattern"])
    differing = [
        hex(n) for n in range(0x3000) if bool(ours.fullmatch(chr(n))) != bool(theirs.fullmatch(chr(n)))
    ]
    assert differing == []


@pytest.mark.parametrize(
    "path", ["/", "/a/", "/a/b/", "//", "/a", "a/", "", "/a b/", "/é/", "/*/", "/a\n", "/" + "a" * 511]
)
def test_paths_are_those_of_the_model(path: str) -> None:
    limits = shape("iam", "pathType")
    theirs = compile_pattern(limits.metadata["pattern"]).fullmatch(path) and 1 <= len(path) <= 512
    assert bool(identity_sections._PATH.fullmatch(path)) is bool(theirs)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("ec2-user", True),
        ("_x", True),
        ("user$", True),
        ("1st", True),
        ("007@corp", True),
        ("a" * 32, True),
        ("a" * 33, False),
        ("1", False),
        ("12", False),
        ("-oProxyCommand=x", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("", False),
    ],
)
def test_an_os_user_is_the_model_s_for_server_and_client(name: str, good: bool) -> None:
    found = list(find_violations(shape(PUSH, "InstanceOSUser"), name, NAMING))
    assert (found == []) is good
    assert is_os_user(name) is good


def test_what_the_store_keeps_is_as_long_as_the_model_lets_it_be() -> None:
    for column, service, name in (
        (tables.users.c.name, "iam", "userNameType"),
        (tables.users.c.path, "iam", "pathType"),
        (tables.users.c.permissions_boundary, "iam", "arnType"),
        (tables.inline_policies.c.policy_name, "iam", "policyNameType"),
        (tables.roles.c.name, "iam", "roleNameType"),
        (tables.roles.c.description, "iam", "roleDescriptionType"),
        (tables.pushed_keys.c.instance_id, PUSH, "InstanceId"),
        (tables.pushed_keys.c.os_user, PUSH, "InstanceOSUser"),
        (tables.access_keys.c.id, "iam", "accessKeyIdType"),
    ):
        most = bounds(service, name)[1]
        assert isinstance(column.type, String) and column.type.length is not None
        assert most is not None and column.type.length >= most, column


def test_sts_takes_the_messages_that_ec2_gives() -> None:
    sealed = len(Vault(bytes(32)).seal(bytes(SIZE), ""))
    most = bounds("sts", "encodedMessageType")[1]
    assert most is not None and sealed * 4 / 3 + 1 <= most


def constrained(of: Shape, seen: set[str]) -> Iterator[Shape]:
    """The shapes within a shape that have a constraint."""
    if of.name in seen:
        return
    seen.add(of.name)
    if (
        {"min", "max", "pattern"} & set(of.metadata)
        or getattr(of, "enum", None)
        or of.metadata.get("required")
    ):
        yield of
    match of.type_name:
        case "structure":
            for member in of.members.values():
                yield from constrained(member, seen)
        case "list":
            yield from constrained(of.member, seen)
        case "map":
            yield from constrained(of.key, seen)
            yield from constrained(of.value, seen)


def breaking(of: Shape) -> Iterator[tuple[str, Any]]:
    """Values that a constraint of the shape forbids, and which."""
    least, most = of.metadata.get("min"), of.metadata.get("max")
    match of.type_name:
        case "string":
            if least:
                yield "min", ""
            if most is not None:
                yield "max", "a" * (most + 1)
            if of.enum:
                yield "enum", "no such"
            if "pattern" in of.metadata:
                yield "pattern", "\x01"
        case "integer" | "long":
            if least is not None:
                yield "min", least - 1
            if most is not None:
                yield "max", most + 1
        case "list":
            if least:
                yield "min", []
            if most is not None:
                yield "max", [None] * (most + 1)
        case "structure" if of.required_members:
            yield "required", {}


@pytest.mark.parametrize("key", sorted(OPERATIONS), ids="-".join)
def test_each_constraint_of_each_operation_s_model_is_enforced(key: tuple[str, str]) -> None:
    service, name = key
    of = load_service(service).model.operation_model(name).input_shape
    for inner in () if of is None else constrained(of, set()):
        for which, value in breaking(inner):
            if inner.type_name == "list":
                found = list(find_violations(_with_any_member(inner), value, NAMING))
            else:
                found = list(find_violations(inner, value, NAMING))
            kind = Kind.MISSING if which == "required" else Kind.INVALID
            assert any(violation.kind is kind for violation in found), (inner.name, which)


def _with_any_member(of: Shape) -> Any:
    """The list's own constraints alone."""

    class Anything:
        type_name = "boolean"
        metadata = MappingProxyType[str, Any]({})

    class Bare:
        type_name = "list"
        metadata = of.metadata
        member = Anything

    return Bare
