"""The account as values: all rows that a fleet file can declare, and what is attached to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from hatchway.domain.account import Account, AccountAlias
from hatchway.domain.endpoint import Endpoint
from hatchway.domain.identity import (
    Attachment,
    Group,
    Guardrail,
    InlinePolicy,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    Role,
    User,
)
from hatchway.domain.network import (
    Instance,
    NetworkInterface,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)

Owner = tuple[OwnerKind, str]


@dataclass(slots=True, kw_only=True)
class Rows:
    """Nouns by their primary keys, one mapping for each table, named as the table is.

    Filled once, from the store or by the resolution of a fleet file, and only read after that. In this order
    rows are put: a group's rules before the group, so that the store makes it none of its own.
    """

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    security_group_rules: dict[str, SecurityGroupRule] = field(default_factory=dict)
    security_groups: dict[str, SecurityGroup] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    network_interfaces: dict[str, NetworkInterface] = field(default_factory=dict)
    managed_policies: dict[str, ManagedPolicy] = field(default_factory=dict)
    policy_versions: dict[tuple[str, str], PolicyVersion] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    memberships: dict[tuple[str, str], Membership] = field(default_factory=dict)
    attachments: dict[tuple[OwnerKind, str, str], Attachment] = field(default_factory=dict)
    inline_policies: dict[tuple[OwnerKind, str, str], InlinePolicy] = field(default_factory=dict)
    guardrails: dict[str, Guardrail] = field(default_factory=dict)
    account_aliases: dict[str, AccountAlias] = field(default_factory=dict)


TABLES: Final = tuple(item.name for item in fields(Rows))


def copy_of(rows: Rows) -> Rows:
    return Rows(**{table: dict(getattr(rows, table)) for table in TABLES})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One moment of the account. Of access keys and host tokens it says only who has which."""

    account: Account
    rows: Rows = field(default_factory=Rows)
    access_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    enrolled_instances: frozenset[str] = frozenset()
    position: tuple[int, str] = (0, "")
