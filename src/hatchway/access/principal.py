"""Who is calling (AWS: "Principal", "IAM identifiers")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from hatchway.iam import PolicySet


class PrincipalType(StrEnum):
    """The values of `aws:PrincipalType`. `Account` is the account's root user."""

    USER = "User"
    ROOT = "Account"


_TRAIL_TYPES: Final = {PrincipalType.USER: "IAMUser", PrincipalType.ROOT: "Root"}
"""What the audit trail calls them."""


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

    def user_identity(self) -> dict[str, str]:
        """The principal as events of the audit trail name it (AWS: "CloudTrail userIdentity element")."""
        identity = {
            "type": _TRAIL_TYPES[self.type],
            "principalId": self.user_id,
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key_id,
        }
        if self.user_name is not None:
            identity["userName"] = self.user_name
        return identity

    def condition_keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """What conditions can ask about the principal (AWS: "AWS global condition context keys")."""
        keys: dict[str, str | tuple[str, ...]] = {
            "aws:PrincipalArn": self.arn,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalType": self.type.value,
            "aws:userid": self.user_id,
        }
        if self.user_name is not None:
            keys["aws:username"] = self.user_name
        keys.update({f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()})
        return keys


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with its policies, compiled once and used for each of its requests.

    `keys` are the condition keys that are the same for all of these.
    """

    principal: Principal
    policies: PolicySet
    keys: Mapping[str, str | tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", self.principal.condition_keys())
