"""The account as values: all rows that a fleet file can declare, and what hangs on them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from hatchway.domain.account import Account
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
from hatchway.domain.network import Instance, NetworkInterface, SecurityGroup, Subnet, Vpc
from hatchway.store import Transaction

Owner = tuple[OwnerKind, str]


@dataclass(slots=True, kw_only=True)
class Rows:
    """Nouns by their primary keys, one mapping for each table, named as the table is.

    Filled once, by `read_account` or by the resolution of a fleet file, and only read after that.
    """

    vpcs: dict[str, Vpc] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
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


TABLES: Final = tuple(item.name for item in fields(Rows))


def copy_of(rows: Rows) -> Rows:
    return Rows(**{table: dict(getattr(rows, table)) for table in TABLES})


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One moment of the account. Of access keys and host tokens only who has which is told."""

    account: Account
    rows: Rows = field(default_factory=Rows)
    access_keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    enrolled_instances: frozenset[str] = frozenset()
    revision: int = 0


def read_account(tx: Transaction) -> AccountView:
    """All of the account. Endpoints that are deleted and merely still listed count as gone."""
    rows = Rows()
    for table in TABLES:
        repository: Any = getattr(tx, table)
        found = getattr(rows, table)
        for noun in repository.find():
            key = repository.key_of(noun)
            found[key[0] if len(key) == 1 else key] = noun
    rows.endpoints = {key: endpoint for key, endpoint in rows.endpoints.items() if not endpoint.deleted}
    rows.network_interfaces = {
        key: interface
        for key, interface in rows.network_interfaces.items()
        if interface.endpoint_id in rows.endpoints
    }
    keys: dict[str, list[str]] = defaultdict(list)
    for access_key in tx.access_keys.find():
        if access_key.user_name is not None:
            keys[access_key.user_name].append(access_key.id)
    return AccountView(
        account=tx.account(),
        rows=rows,
        access_keys=dict(keys),
        enrolled_instances=_enrolled_instances(tx),
        revision=tx.revision(),
    )


def is_current(view: AccountView, tx: Transaction) -> bool:
    """Whether reading the account again would give the same."""
    # Enrolments are of no revision: no gateway follows them.
    return tx.revision() == view.revision and _enrolled_instances(tx) == view.enrolled_instances


def _enrolled_instances(tx: Transaction) -> frozenset[str]:
    return frozenset(token.instance_id for token in tx.host_tokens.find())
