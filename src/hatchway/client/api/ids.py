"""Whole ids, of what is named by the beginning of one, as far as that is one thing's alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from hatchway.client.api.profile import api_errors
from hatchway.client.errors import NotFound, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

_WHOLE: Final = re.compile(r"[a-z]{1,5}-[0-9a-f]{17}")
"""An id as EC2 makes them today, which cannot be the beginning of another."""
_TOLD: Final = 5

_LISTED: Final = {
    "subnet": ("DescribeSubnets", "Subnets", "SubnetId", "subnet-id"),
    "sg": ("DescribeSecurityGroups", "SecurityGroups", "GroupId", "group-id"),
    "eice": (
        "DescribeInstanceConnectEndpoints",
        "InstanceConnectEndpoints",
        "InstanceConnectEndpointId",
        "instance-connect-endpoint-id",
    ),
}
"""By the letters of an id: how such things are listed, and the filter of that by an id."""


def in_form(form: re.Pattern[str], told: str) -> str:
    """What a server told, where it has the form that it must have.

    Raises:
        ValueError: it has not.
    """
    if form.fullmatch(told) is None:
        raise ValueError(f"{printable(told, 100)!r} has not the form of {form.pattern}")
    return told


def as_text(told: object) -> str:
    """What a server told, where it is text.

    Raises:
        ValueError: it is a list, or has members.
    """
    if not isinstance(told, str):
        raise ValueError("what should be text is none")
    return told


def is_whole(text: str) -> bool:
    return _WHOLE.fullmatch(text) is not None


def whole_id(ec2: Any, given: str) -> str:
    """The id of a subnet, a security group or an endpoint that begins so. What is no id is given back.

    Args:
        ec2: botocore's client.

    Raises:
        NotFound: none begins so, or several do, which are told.
        ApiError: the call was refused or not answered.
    """
    kind, _, digits = given.partition("-")
    if is_whole(given) or kind not in _LISTED or not (digits.isascii() and digits.isalnum()):
        return given
    operation, things, member, filter_name = _LISTED[kind]
    methods = {api: method for method, api in ec2.meta.method_to_api_mapping.items()}
    pages = ec2.get_paginator(methods[operation])
    with api_errors(operation):
        asked = [{"Name": filter_name, "Values": [f"{given}*"]}]
        found = [thing[member] for page in pages.paginate(Filters=asked) for thing in page[things]]
    return only_one(given, found)


def only_one(given: str, ids: Iterable[str]) -> str:
    """Of ids the one that is this, or the only one that begins so.

    Raises:
        NotFound: none does, or several, which are told.
    """
    found = sorted({each for each in ids if each.startswith(given)})
    if given in found:
        return given
    if not found:
        raise NotFound(f"nothing has an id that begins with {printable(given, 100)!r}")
    if len(found) == 1:
        return found[0]
    told = [printable(each, 100) for each in found[:_TOLD]]
    more = [f"{len(found) - len(told)} more"] if len(found) > len(told) else []
    raise NotFound(
        f"{printable(given, 100)!r} may be any of {len(found)}, {', '.join([*told, *more])}: write more of it"
    )
