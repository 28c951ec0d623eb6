"""What a decision on a tunnel depends on, and which dependencies a change affects. Pure.

A dependency is a row, or several rows that matter to the same decisions, identified by table and key. If no
change has affected any dependency of a tunnel, the decision would be the same as before; so only the other
tunnels are decided on again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hatchway.domain.identity import OwnerKind
from hatchway.domain.session import SessionKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set

    from hatchway.access.identities import Identities
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.store import Changes

Dependency = tuple[str, ...]

Touched = frozenset[Dependency] | None
"""The dependencies that changes affect; None means all."""

_OWNERS: Final = {OwnerKind.USER: "users", OwnerKind.GROUP: "groups", OwnerKind.ROLE: "roles"}


def _same(table: str) -> Callable[[Dependency], Dependency]:
    return lambda key: (table, *key)


def _owner(key: Dependency) -> Dependency:
    return (_OWNERS[OwnerKind(key[0])], key[1])


# From a row's primary key to its dependency. A table that is neither here nor in `_DECIDE_ON_ALL` affects no
# tunnel; a test has a list of those.
_DEPENDENCIES: Final[dict[str, Callable[[Dependency], Dependency]]] = {
    "access_keys": _same("access_keys"),
    "sessions": _same("sessions"),
    "users": _same("users"),
    "roles": _same("roles"),
    "memberships": lambda key: ("users", key[0]),
    "inline_policies": _owner,
    "attachments": _owner,
    "managed_policies": _same("policies"),
    "policy_versions": lambda key: ("policies", key[0]),
    "endpoints": _same("endpoints"),
    "instances": _same("instances"),
    "network_interfaces": _same("network_interfaces"),
    "security_groups": _same("security_groups"),
    "vpcs": _same("vpcs"),
    "api_addresses": lambda key: ("addresses", key[0]),
}
_DECIDE_ON_ALL: Final = frozenset({"accounts", "guardrails"})


def identity_dependencies(identities: Identities, access_key_id: str) -> tuple[Dependency, ...]:
    """Who holds a key and what that principal's policies are, as dependencies. Empty if there is no such
    key."""
    session = identities.session(access_key_id)
    if session is not None:
        return (
            ("sessions", access_key_id),
            *_owner_dependencies(identities, session.kind is SessionKind.ROLE, session.owner_name),
            *(("policies", arn) for arn in session.policy_arns),
        )
    key = identities.access_key(access_key_id)
    if key is None:
        return ()
    return ("access_keys", access_key_id), *_owner_dependencies(identities, False, key.user_name)


def _owner_dependencies(identities: Identities, is_role: bool, name: str | None) -> Iterable[Dependency]:
    """The policies of a user or role; for the root user (None) only the guardrails."""
    policies = list(identities.guardrails())
    if name is not None:
        kind = OwnerKind.ROLE if is_role else OwnerKind.USER
        yield (_OWNERS[kind], name)
        policies += identities.attached_policies(kind, name)
        for group in () if is_role else identities.groups_of(name):
            yield ("groups", group)
            policies += identities.attached_policies(OwnerKind.GROUP, group)
        identity = identities.role(name) if is_role else identities.user(name)
        if identity is not None and identity.permissions_boundary is not None:
            policies.append(identity.permissions_boundary)
    for arn in policies:
        yield ("policies", arn)


def network_dependencies(endpoint: Endpoint, instance: Instance | None, address: str) -> list[Dependency]:
    """What the rest of a decision depends on. `address` is in its canonical form."""
    dependencies: list[Dependency] = [
        ("endpoints", endpoint.id),
        ("vpcs", endpoint.vpc_id),
        ("addresses", address),
    ]
    groups = endpoint.security_group_ids
    if instance is not None:
        dependencies.append(("instances", instance.id))
        groups += instance.security_group_ids
    dependencies += [("security_groups", group_id) for group_id in groups]
    dependencies += [("network_interfaces", interface_id) for interface_id in endpoint.network_interface_ids]
    return dependencies


def touched(changes: Changes, key_of: Callable[[str, Any], Dependency]) -> Touched:
    """The dependencies that changes affect; None if every decision depends on them.

    `key_of` returns the primary key of a table's row.
    """
    if changes.everything or any(changes.changed.get(table) for table in _DECIDE_ON_ALL):
        return None
    if any(changes.deleted.get(table) for table in _DECIDE_ON_ALL):
        return None
    keys = {table: [key_of(table, row) for row in rows] for table, rows in changes.changed.items()}
    dependencies = {
        dependency(key)
        for table, dependency in _DEPENDENCIES.items()
        for key in (*keys.get(table, ()), *changes.deleted.get(table, ()))
    }
    # An instance that gets an address matters to the tunnels that lead there without an instance, or through
    # the endpoint of another VPC.
    dependencies |= {
        ("addresses", address) for row in changes.changed.get("instances", ()) for address in row.addresses
    }
    return frozenset(dependencies)


class _Group:
    """Tunnels with the same dependencies. It is hashed by identity: hashing all dependencies takes long."""

    __slots__ = ("dependencies", "ids")

    def __init__(self, dependencies: tuple[Dependency, ...]) -> None:
        self.dependencies = dependencies
        self.ids = set[str]()


class DependencyIndex:
    """Ids of tunnels by their dependencies.

    Many tunnels have the same dependencies, so each id is stored once, under all dependencies of its tunnel.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[Dependency, ...], _Group] = {}
        self._with: dict[Dependency, set[_Group]] = {}

    def add(self, tunnel_id: str, dependencies: tuple[Dependency, ...]) -> tuple[Dependency, ...]:
        """Add a tunnel. Returns its dependencies, as one object for all tunnels that have the same."""
        group = self._groups.get(dependencies)
        if group is None:
            group = self._groups[dependencies] = _Group(dependencies)
            for dependency in dependencies:
                self._with.setdefault(dependency, set()).add(group)
        group.ids.add(tunnel_id)
        return group.dependencies

    def remove(self, tunnel_id: str, dependencies: tuple[Dependency, ...]) -> None:
        group = self._groups[dependencies]
        group.ids.discard(tunnel_id)
        if group.ids:
            return
        del self._groups[dependencies]
        # A dependency may occur twice: the same security group at both ends.
        for dependency in set(dependencies):
            groups = self._with[dependency]
            groups.discard(group)
            if not groups:
                del self._with[dependency]

    def depending_on(self, dependencies: Set[Dependency]) -> set[str]:
        if len(dependencies) > len(self._with):
            dependencies = self._with.keys() & dependencies
        groups = set().union(*(self._with.get(dependency, ()) for dependency in dependencies))
        return set().union(*(group.ids for group in groups))
