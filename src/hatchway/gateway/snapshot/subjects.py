"""What a decision on a tunnel depends on, and what of that a change touches.

A subject is a row, or several that matter to the same decisions, by table and key. A tunnel whose subjects no
change has touched would be decided on as before; so only the others are decided on again. Pure.
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

Subject = tuple[str, ...]

Touched = frozenset[Subject] | None
"""What changes touch; None is everything."""

_OWNERS: Final = {OwnerKind.USER: "users", OwnerKind.GROUP: "groups", OwnerKind.ROLE: "roles"}


def _same(table: str) -> Callable[[Subject], Subject]:
    return lambda key: (table, *key)


def _owner(key: Subject) -> Subject:
    return (_OWNERS[OwnerKind(key[0])], key[1])


# From a row's primary key to its subject. A table that is neither here nor in `_DECIDE_ON_ALL` affects no
# tunnel; a test has a list of these.
_SUBJECTS: Final[dict[str, Callable[[Subject], Subject]]] = {
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


def identity_subjects(identities: Identities, access_key_id: str) -> tuple[Subject, ...]:
    """The subjects that say who holds a key, and what its policies are. Empty when there is no such key."""
    session = identities.session(access_key_id)
    if session is not None:
        return (
            ("sessions", access_key_id),
            *_owner_subjects(identities, session.kind is SessionKind.ROLE, session.owner_name),
            *(("policies", arn) for arn in session.policy_arns),
        )
    key = identities.access_key(access_key_id)
    if key is None:
        return ()
    return ("access_keys", access_key_id), *_owner_subjects(identities, False, key.user_name)


def _owner_subjects(identities: Identities, is_role: bool, name: str | None) -> Iterable[Subject]:
    """What a user's or role's policies are; of the root user (None) there are the guardrails."""
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
    return frozenset(subjects)


class _Group:
    """Tunnels that depend on the same subjects. Its hash is its own: that of all subjects takes long."""

    __slots__ = ("ids", "subjects")

    def __init__(self, subjects: tuple[Subject, ...]) -> None:
        self.subjects = subjects
        self.ids = set[str]()


class SubjectIndex:
    """Ids of tunnels by the subjects that they depend on.

    Many tunnels depend on the same ones, so ids are kept once, by all subjects of a tunnel.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[Subject, ...], _Group] = {}
        self._with: dict[Subject, set[_Group]] = {}

    def add(self, tunnel_id: str, subjects: tuple[Subject, ...]) -> tuple[Subject, ...]:
        """Returns the subjects, which are one object for all tunnels that have the same."""
        group = self._groups.get(subjects)
        if group is None:
            group = self._groups[subjects] = _Group(subjects)
            for subject in subjects:
                self._with.setdefault(subject, set()).add(group)
        group.ids.add(tunnel_id)
        return group.subjects

    def remove(self, tunnel_id: str, subjects: tuple[Subject, ...]) -> None:
        group = self._groups[subjects]
        group.ids.discard(tunnel_id)
        if group.ids:
            return
        del self._groups[subjects]
        # One may stand twice: the same security group at both ends.
        for subject in set(subjects):
            groups = self._with[subject]
            groups.discard(group)
            if not groups:
                del self._with[subject]

    def depending_on(self, subjects: Set[Subject]) -> set[str]:
        if len(subjects) > len(self._with):
            subjects = self._with.keys() & subjects
        groups = set().union(*(self._with.get(subject, ()) for subject in subjects))
        return set().union(*(group.ids for group in groups))
