"""What a gateway knows of the account: a copy in memory that follows the store's change feed.

Look-ups take no longer with 100,000 instances than with ten; the cost of a change depends on its size alone.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from hatchway.access.identities import IDENTITY_TABLES, resolve_caller
from hatchway.access.signing_keys import SigningKeyOpener
from hatchway.domain.addresses import parse_address
from hatchway.domain.arns import Arns
from hatchway.gateway.snapshot.dependencies import identity_dependencies
from hatchway.gateway.snapshot.table import Table
from hatchway.store import BEGINNING
from hatchway.store.tables import FEED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from hatchway.access.principal import Caller
    from hatchway.domain.account import Account
    from hatchway.domain.addresses import Address
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.identity import AccessKey, InlinePolicy, ManagedPolicy, OwnerKind, Role, User
    from hatchway.domain.network import Instance, SecurityGroup, Vpc
    from hatchway.domain.session import Session
    from hatchway.gateway.snapshot.dependencies import Dependency
    from hatchway.gateway.snapshot.table import Key
    from hatchway.keys.vault import Vault
    from hatchway.store import Changes

# Tables whose rows are also looked up by something other than their primary key, and by what.
_LOOKUPS: Final[dict[str, Callable[[Any], Iterable[Key]]]] = {
    "instances": lambda row: (
        key for address in row.addresses for key in ((row.vpc_id, address), (address,))
    ),
    "endpoints": lambda row: ((row.vpc_id,),),
    "memberships": lambda row: ((row.user_name,),),
    "inline_policies": lambda row: ((row.owner_kind, row.owner_name),),
    "attachments": lambda row: ((row.owner_kind, row.owner_name),),
}


PORTION: Final = 200
"""Rows applied at once: about two milliseconds."""


def _empty_tables() -> dict[str, Table]:
    return {table.name: Table(table.name, _LOOKUPS.get(table.name)) for table in FEED}


class Snapshot:
    """The account as of one revision. It implements `Identities` and `Directory`, which `hatchway.access`
    uses."""

    def __init__(self, gateway_key: Vault) -> None:
        """`gateway_key` opens the signing keys, each when it is needed."""
        self.position = BEGINNING
        self.state = object()
        """Replaced by another object after each change: as long as it is the same, everything looked up is
        still the same."""
        self._signing_keys = SigningKeyOpener(gateway_key)
        self._tables = _empty_tables()
        self._forget_callers()

    @property
    def revision(self) -> int:
        return self.position.revision

    def _forget_callers(self) -> None:
        self._callers: dict[str, Caller | None] = {}
        self._dependencies: dict[str, tuple[Dependency, ...]] = {}
        self._arns: Arns | None = None

    def apply(self, changes: Changes) -> None:
        """Become what the account is at the revision of the changes."""
        for _ in self.applying(changes):
            pass

    def applying(self, changes: Changes) -> Iterator[None]:
        """Do the same in portions, between which other work may run.

        Until the last portion is done the snapshot is what it was, and then it becomes the new state at once:
        a decision in between never sees half of a change. Nothing else may be applied in the meantime.
        """
        size = sum(map(len, changes.deleted.values())) + sum(map(len, changes.changed.values()))
        tables = _empty_tables() if changes.everything else dict(self._tables)
        done = 0
        for name in {**changes.deleted, **changes.changed}:
            # The cost of a change must depend on its size alone: a change that is applied without a pause
            # needs no copy.
            if size >= PORTION and not changes.everything:
                tables[name] = tables[name].copy()
            table = tables[name]
            steps: Iterable[tuple[Callable[[Any], None], Any]] = chain(
                ((table.remove, key) for key in changes.deleted.get(name, ())),
                ((table.put, row) for row in changes.changed.get(name, ())),
            )
            for step, row_or_key in steps:
                step(row_or_key)
                done += 1
                if not done % PORTION:
                    yield
        self._tables = tables
        if any(changes.changed.get(table) or changes.deleted.get(table) for table in IDENTITY_TABLES):
            self._forget_callers()
        else:
            # Sessions come and go all the time, and each belongs to one caller.
            gone = [key_id for (key_id,) in changes.deleted.get("sessions", ())]
            for key_id in (*gone, *(row.access_key_id for row in changes.changed.get("sessions", ()))):
                self._callers.pop(key_id, None)
                self._dependencies.pop(key_id, None)
        self.position = changes.position
        self.state = object()

    def _rows(self, table: str) -> dict[Key, Any]:
        return self._tables[table].rows

    def _find(self, table: str, *lookup: str) -> Sequence[Any]:
        return self._tables[table].find(lookup)

    # The account and its network.

    @property
    def account(self) -> Account:
        (account,) = self._rows("accounts").values()
        found: Account = account
        return found

    @property
    def arns(self) -> Arns:
        if self._arns is None:
            self._arns = Arns(self.account.id, self.account.region)
        return self._arns

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        return tuple(self._rows("endpoints").values())

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        return self._rows("endpoints").get((endpoint_id,))

    def endpoints_of(self, vpc_id: str) -> Sequence[Endpoint]:
        return self._find("endpoints", vpc_id)

    def vpc(self, vpc_id: str) -> Vpc | None:
        return self._rows("vpcs").get((vpc_id,))

    def instance_at(self, vpc_id: str, address: str) -> Instance | None:
        """The registered instance with this address in a VPC. `address` is in its canonical form."""
        found = self._find("instances", vpc_id, address)
        return found[0] if found else None

    def instances_at(self, address: str) -> Sequence[Instance]:
        """The registered instances with this address in any VPC. `address` is in its canonical form."""
        return self._find("instances", address)

    def serves_api(self, address: str) -> bool:
        """Whether a control plane serves the API from the machine with this address."""
        return (address,) in self._rows("api_addresses")

    @property
    def vpcs(self) -> Sequence[Vpc]:
        return tuple(self._rows("vpcs").values())

    def security_groups(self, ids: Iterable[str]) -> list[SecurityGroup]:
        rows = self._rows("security_groups")
        return [rows[(group_id,)] for group_id in ids if (group_id,) in rows]

    def interface_addresses(self, endpoint: Endpoint) -> list[Address]:
        """The addresses from which an endpoint connects."""
        rows = self._rows("network_interfaces")
        return [
            parse_address(address)
            for interface_id in endpoint.network_interface_ids
            if (interface := rows.get((interface_id,))) is not None
            for address in (interface.private_ip, interface.ipv6)
            if address
        ]

    def between(self, endpoint: Endpoint, instance: Instance) -> tuple[object, ...]:
        """The other rows that decide whether an endpoint's connections get through to an instance: the VPC,
        the security groups at both ends, the interfaces. None for each that does not exist."""
        groups, interfaces = self._rows("security_groups"), self._rows("network_interfaces")
        return (
            self.vpc(endpoint.vpc_id),
            *[groups.get((each,)) for each in endpoint.security_group_ids],
            *[groups.get((each,)) for each in instance.security_group_ids],
            *[interfaces.get((each,)) for each in endpoint.network_interface_ids],
        )

    # `hatchway.access.authentication.Directory`

    def caller(self, access_key_id: str) -> Caller | None:
        if access_key_id not in self._callers:
            # Only for keys that exist: a flood of invented keys must not make this grow.
            if self.access_key(access_key_id) is None and self.session(access_key_id) is None:
                return None
            self._callers[access_key_id] = resolve_caller(self, access_key_id)
        return self._callers[access_key_id]

    def dependencies_of(self, access_key_id: str) -> tuple[Dependency, ...]:
        """Who holds a known key and what that principal's policies are, as dependencies."""
        if access_key_id not in self._dependencies:
            self._dependencies[access_key_id] = identity_dependencies(self, access_key_id)
        return self._dependencies[access_key_id]

    @property
    def sealed_under(self) -> frozenset[str]:
        """The ids of the gateway keys under which signing keys are sealed."""
        return frozenset(row.sealed_under for row in self._rows("sealed_signing_keys").values())

    def signing_key(self, access_key_id: str, scope: Any) -> bytes | None:
        rows = self._rows("sealed_signing_keys")
        return self._signing_keys.open(rows.get((access_key_id, scope.date, scope.region, scope.service)))

    # `hatchway.access.identities.Identities`

    def access_key(self, key_id: str) -> AccessKey | None:
        return self._rows("access_keys").get((key_id,))

    def session(self, access_key_id: str) -> Session | None:
        return self._rows("sessions").get((access_key_id,))

    def user(self, name: str) -> User | None:
        return self._rows("users").get((name,))

    def role(self, name: str) -> Role | None:
        return self._rows("roles").get((name,))

    def groups_of(self, user_name: str) -> Sequence[str]:
        return [row.group_name for row in self._find("memberships", user_name)]

    def inline_policies(self, kind: OwnerKind, name: str) -> Sequence[InlinePolicy]:
        return self._find("inline_policies", kind, name)

    def attached_policies(self, kind: OwnerKind, name: str) -> Sequence[str]:
        return [row.policy_arn for row in self._find("attachments", kind, name)]

    def guardrails(self) -> Sequence[str]:
        return [row.policy_arn for row in self._rows("guardrails").values()]

    def managed_policy(self, arn: str) -> tuple[ManagedPolicy, str] | None:
        policy = self._rows("managed_policies").get((arn,))
        version = policy and self._rows("policy_versions").get((arn, policy.default_version))
        return (policy, version.document) if policy and version else None
