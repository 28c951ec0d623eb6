"""What a gateway knows of the account, in memory: a copy that follows the store's change feed.

Lookups take no longer with 100,000 instances than with ten; a change costs what it changes.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from hatchway.access.identities import resolve_caller
from hatchway.domain.arns import Arns
from hatchway.domain.reach import parse_address
from hatchway.gateway.subjects import identity_subjects
from hatchway.store.tables import FEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hatchway.access.principal import Caller
    from hatchway.domain.account import Account
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.identity import AccessKey, InlinePolicy, ManagedPolicy, OwnerKind, User
    from hatchway.domain.network import Instance, SecurityGroup, Vpc
    from hatchway.domain.reach import Address
    from hatchway.gateway.subjects import Subject
    from hatchway.store import Changes

Key = tuple[str, ...]

_KEYS: Final[dict[str, tuple[str, ...]]] = {
    table.name: tuple(column.name for column in table.primary_key.columns) for table in FEED
}
# Tables by which some rows are looked up otherwise than by key, and the keys of that look-up.
_LOOKUPS: Final[dict[str, Callable[[Any], Iterable[Key]]]] = {
    "instances": lambda row: ((row.vpc_id, address) for address in row.addresses),
    "memberships": lambda row: ((row.user_name,),),
    "inline_policies": lambda row: ((row.owner_kind, row.owner_name),),
    "attachments": lambda row: ((row.owner_kind, row.owner_name),),
}
_IDENTITY_TABLES: Final = frozenset(
    {
        "accounts",
        "users",
        "memberships",
        "managed_policies",
        "policy_versions",
        "inline_policies",
        "attachments",
        "guardrails",
        "access_keys",
    }
)


class Snapshot:
    """The account as of one revision: the `Identities` and the `Directory` that `hatchway.access` asks."""

    def __init__(self) -> None:
        self.revision = 0
        self._forget()

    def _forget(self) -> None:
        self._rows: dict[str, dict[Key, Any]] = {name: {} for name in _KEYS}
        self._found: dict[str, defaultdict[Key, dict[Key, Any]]] = {
            name: defaultdict(dict) for name in _LOOKUPS
        }
        self._callers: dict[str, Caller | None] = {}
        self._subjects: dict[str, tuple[Subject, ...]] = {}
        self._arns: Arns | None = None

    def apply(self, changes: Changes) -> None:
        """Become what the account is at the revision of the changes."""
        if changes.everything:
            self._forget()
        for table, keys in changes.deleted.items():
            for key in keys:
                self._remove(table, key)
        for table, rows in changes.changed.items():
            for row in rows:
                key = key_of(table, row)
                self._remove(table, key)
                self._rows[table][key] = row
                for lookup in self._lookups(table, row):
                    self._found[table][lookup][key] = row
        if any(changes.changed.get(table) or changes.deleted.get(table) for table in _IDENTITY_TABLES):
            self._callers.clear()
            self._subjects.clear()
            self._arns = None
        self.revision = changes.revision

    def _remove(self, table: str, key: Key) -> None:
        row = self._rows[table].pop(key, None)
        if row is None:
            return
        for lookup in self._lookups(table, row):
            self._found[table][lookup].pop(key, None)
            if not self._found[table][lookup]:
                del self._found[table][lookup]

    def _lookups(self, table: str, row: Any) -> Iterable[Key]:
        lookups = _LOOKUPS.get(table)
        return lookups(row) if lookups else ()

    def _find(self, table: str, *lookup: str) -> Sequence[Any]:
        return tuple(self._found[table].get(lookup, {}).values())

    # The account and its network.

    @property
    def account(self) -> Account:
        (account,) = self._rows["accounts"].values()
        found: Account = account
        return found

    @property
    def arns(self) -> Arns:
        if self._arns is None:
            self._arns = Arns(self.account.id, self.account.region)
        return self._arns

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return tuple(self._rows["endpoints"].values())

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        return self._rows["endpoints"].get((endpoint_id,))

    def vpc(self, vpc_id: str) -> Vpc | None:
        return self._rows["vpcs"].get((vpc_id,))

    def instance_at(self, vpc_id: str, address: str) -> Instance | None:
        """The registered instance with this address, in its canonical form, in a VPC."""
        found = self._found["instances"].get((vpc_id, address))
        return None if found is None else next(iter(found.values()))

    def security_groups(self, ids: Iterable[str]) -> list[SecurityGroup]:
        rows = self._rows["security_groups"]
        return [rows[(group_id,)] for group_id in ids if (group_id,) in rows]

    def interface_addresses(self, endpoint: Endpoint) -> list[Address]:
        """The addresses from which an endpoint connects."""
        rows = self._rows["network_interfaces"]
        return [
            parse_address(address)
            for interface_id in endpoint.network_interface_ids
            if (interface := rows.get((interface_id,))) is not None
            for address in (interface.private_ip, interface.ipv6)
            if address
        ]

    # `hatchway.access.authentication.Directory`

    def caller(self, access_key_id: str) -> Caller | None:
        if access_key_id not in self._callers:
            # Only of keys that exist: a flood of invented ones must not grow this.
            if (access_key_id,) not in self._rows["access_keys"]:
                return None
            self._callers[access_key_id] = resolve_caller(self, access_key_id)
        return self._callers[access_key_id]

    def subjects_of(self, access_key_id: str) -> tuple[Subject, ...]:
        """What it depends on who holds a key that is known, and what its policies say."""
        if access_key_id not in self._subjects:
            self._subjects[access_key_id] = identity_subjects(self, access_key_id)
        return self._subjects[access_key_id]

    def signing_key(self, access_key_id: str, scope: Any) -> bytes | None:
        row = self._rows["signing_keys"].get((access_key_id, scope.date, scope.region, scope.service))
        return None if row is None else row.key

    # `hatchway.access.identities.Identities`

    def access_key(self, key_id: str) -> AccessKey | None:
        return self._rows["access_keys"].get((key_id,))

    def user(self, name: str) -> User | None:
        return self._rows["users"].get((name,))

    def groups_of(self, user_name: str) -> Sequence[str]:
        return [row.group_name for row in self._find("memberships", user_name)]

    def inline_policies(self, kind: OwnerKind, name: str) -> Sequence[InlinePolicy]:
        return self._find("inline_policies", kind, name)

    def attached_policies(self, kind: OwnerKind, name: str) -> Sequence[str]:
        return [row.policy_arn for row in self._find("attachments", kind, name)]

    def guardrails(self) -> Sequence[str]:
        return [row.policy_arn for row in self._rows["guardrails"].values()]

    def managed_policy(self, arn: str) -> tuple[ManagedPolicy, str] | None:
        policy = self._rows["managed_policies"].get((arn,))
        version = policy and self._rows["policy_versions"].get((arn, policy.default_version))
        return (policy, version.document) if policy and version else None


def key_of(table: str, row: Any) -> Key:
    """The primary key of a row, as texts, as the change feed names a row that is gone."""
    return tuple(str(getattr(row, name)) for name in _KEYS[table])
