"""Who is calling (AWS: "Principal", "IAM identifiers")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hatchway.iam import PolicySet


class PrincipalType(StrEnum):
    """The values of `aws:PrincipalType`. `Account` is the account's root user."""

    USER = "User"
    ROOT = "Account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """`user_id` is `aws:userid`: the user's unique id, or the account's number for the root user."""

    arn: str
    account: str
    type: PrincipalType
    user_id: str
    user_name: str | None
    access_key_id: str
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with its policies, compiled once and used for each of its requests."""

    principal: Principal
    policies: PolicySet
