"""What a decision on a tunnel depends on, and what of that a change touches.

A subject is a row, or several that matter to the same decisions, by table and key. A tunnel whose subjects no
change has touched would be decided on as before; so only the others are decided on again. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hatchway.domain.identity import OwnerKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set

    from hatchway.access.identities import Identities
    from hatchway.domain.endpoint import Endpoint
    from hatchway.domain.network import Instance
    from hatchway.store import Changes

Subject = tuple[str, ...]

Touched = frozenset[Subject] | None
"""What changes touch; None is everything."""

_OWNERS: Final = {OwnerKind.USER.value: "users", OwnerKind.GROUP.value: "groups"}


def _same(table: str) -> Callable[[Subject], Subject]:
    return lambda key: (table, *key)


def _owner(key: Subject) -> Subject | None:
    table = _OWNERS.get(key[0])
    return (table, key[1]) if table is not None else None


# From a row's primary key to its subject. A table that is neither here nor in `_DECIDE_ON_ALL` affects no
# tunnel.
_SUBJECTS: Final[dict[str, Callable[[Subject], Subject | None]]] = {
    "access_keys": _same("access_keys"),
    "users": _same("users"),
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


def identity_subjects(identities: Identities, access_key_id: str) -> tuple[Subject, ...]:
    """The subjects that say who holds a key, and what its policies are. Empty when there is no such key."""
    key = identities.access_key(access_key_id)
    if key is None:
        return ()
    policies = list(identities.guardrails())
    subjects: list[Subject] = [("access_keys", access_key_id)]
    if key.user_name is not None:
        subjects.append(("users", key.user_name))
        policies += identities.attached_policies(OwnerKind.USER, key.user_name)
        for group in identities.groups_of(key.user_name):
            subjects.append(("groups", group))
            policies += identities.attached_policies(OwnerKind.GROUP, group)
        user = identities.user(key.user_name)
        if user is not None and user.permissions_boundary is not None:
            policies.append(user.permissions_boundary)
    return (*subjects, *(("policies", arn) for arn in policies))


def network_subjects(endpoint: Endpoint, instance: Instance | None, address: str) -> list[Subject]:
    """What the rest of a decision depends on, for an address in its canonical form."""
    subjects: list[Subject] = [
        ("endpoints", endpoint.id),
        ("vpcs", endpoint.vpc_id),
        ("addresses", address),
    ]
    groups = endpoint.security_group_ids
    if instance is not None:
        subjects.append(("instances", instance.id))
        groups += instance.security_group_ids
    subjects += [("security_groups", group_id) for group_id in groups]
    subjects += [("network_interfaces", interface_id) for interface_id in endpoint.network_interface_ids]
    return subjects


def touched(changes: Changes, key_of: Callable[[str, Any], Subject]) -> Touched:
    """The subjects that changes touch; None when every decision depends on them.

    `key_of` tells the primary key of a table's row.
    """
    if changes.everything or any(changes.changed.get(table) for table in _DECIDE_ON_ALL):
        return None
    if any(changes.deleted.get(table) for table in _DECIDE_ON_ALL):
        return None
    keys = {table: [key_of(table, row) for row in rows] for table, rows in changes.changed.items()}
    subjects = {
        subject(key)
        for table, subject in _SUBJECTS.items()
        for key in (*keys.get(table, ()), *changes.deleted.get(table, ()))
    }
    # An instance that gets an address matters to the tunnels that lead there without an instance, or through
    # the endpoint of another VPC.
    subjects |= {
        ("addresses", address) for row in changes.changed.get("instances", ()) for address in row.addresses
    }
    return frozenset(subject for subject in subjects if subject is not None)


class SubjectIndex:
    """Ids of tunnels by the subjects that they depend on."""

    def __init__(self) -> None:
        self._ids: dict[Subject, set[str]] = {}

    def add(self, tunnel_id: str, subjects: Iterable[Subject]) -> None:
        for subject in subjects:
            self._ids.setdefault(subject, set()).add(tunnel_id)

    def remove(self, tunnel_id: str, subjects: Iterable[Subject]) -> None:
        for subject in subjects:
            ids = self._ids.get(subject)
            if ids is not None:
                ids.discard(tunnel_id)
                if not ids:
                    del self._ids[subject]

    def depending_on(self, subjects: Set[Subject]) -> set[str]:
        if len(subjects) > len(self._ids):
            subjects = self._ids.keys() & subjects
        return set().union(*(self._ids.get(subject, ()) for subject in subjects))
