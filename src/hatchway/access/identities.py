"""An identity's policies, from whatever holds the account's rows: a transaction, or a gateway's snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hatchway.access.principal import Caller, Principal, PrincipalType
from hatchway.access.stored_policies import missing_policy, stored_policy
from hatchway.domain.arns import Arns
from hatchway.domain.identity import AccessKey, InlinePolicy, KeyStatus, ManagedPolicy, OwnerKind, User
from hatchway.iam import Policy, PolicySet
from hatchway.store import Transaction

IDENTITY_TABLES: Final = frozenset(
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
"""The tables of the store whose rows these are."""


class Identities(Protocol):
    """The rows that decide who a caller is and what it may do."""

    @property
    def arns(self) -> Arns: ...
    def access_key(self, key_id: str) -> AccessKey | None: ...
    def user(self, name: str) -> User | None: ...
    def groups_of(self, user_name: str) -> Sequence[str]: ...
    def inline_policies(self, kind: OwnerKind, name: str) -> Sequence[InlinePolicy]: ...
    def attached_policies(self, kind: OwnerKind, name: str) -> Sequence[str]: ...
    def guardrails(self) -> Sequence[str]: ...
    def managed_policy(self, arn: str) -> tuple[ManagedPolicy, str] | None: ...


@dataclass(frozen=True, slots=True)
class StoredIdentities:
    """The identities of one transaction's view."""

    tx: Transaction
    arns: Arns

    def access_key(self, key_id: str) -> AccessKey | None:
        return self.tx.access_keys.get(key_id)

    def user(self, name: str) -> User | None:
        return self.tx.users.get(name)

    def groups_of(self, user_name: str) -> Sequence[str]:
        return [row.group_name for row in self.tx.memberships.find(user_name=user_name)]

    def inline_policies(self, kind: OwnerKind, name: str) -> Sequence[InlinePolicy]:
        return self.tx.inline_policies.find(owner_kind=kind, owner_name=name)

    def attached_policies(self, kind: OwnerKind, name: str) -> Sequence[str]:
        return [row.policy_arn for row in self.tx.attachments.find(owner_kind=kind, owner_name=name)]

    def guardrails(self) -> Sequence[str]:
        return [row.policy_arn for row in self.tx.guardrails.find()]

    def managed_policy(self, arn: str) -> tuple[ManagedPolicy, str] | None:
        """The policy and its document in force."""
        policy = self.tx.managed_policies.get(arn)
        version = policy and self.tx.policy_versions.get(arn, policy.default_version)
        return (policy, version.document) if policy and version else None


def resolve_caller(identities: Identities, key_id: str) -> Caller | None:
    """Who holds an active access key, with its policies. None: no such key, inactive, or its user is gone."""
    key = identities.access_key(key_id)
    if key is None or key.status is not KeyStatus.ACTIVE:
        return None
    arns = identities.arns
    if key.user_name is None:
        root = Principal(
            arn=arns.root,
            account=arns.account,
            type=PrincipalType.ROOT,
            user_id=arns.account,
            user_name=None,
            access_key_id=key.id,
        )
        return Caller(root, PolicySet(identity=(), guardrails=_guardrails(identities), is_root=True))
    user = identities.user(key.user_name)
    if user is None:
        return None
    principal = Principal(
        arn=arns.user(user.name, user.path),
        account=arns.account,
        type=PrincipalType.USER,
        user_id=user.id,
        user_name=user.name,
        access_key_id=key.id,
        tags=user.tags,
    )
    return Caller(principal, user_policies(identities, user))


def user_policies(identities: Identities, user: User) -> PolicySet:
    """All that applies to a user: its own policies, those of its groups, its boundary, the guardrails."""
    owners = [(OwnerKind.USER, user.name)]
    owners += [(OwnerKind.GROUP, group) for group in identities.groups_of(user.name)]
    identity: list[Policy] = []
    for kind, name in owners:
        identity += [
            stored_policy(policy.document, policy.policy_name)
            for policy in identities.inline_policies(kind, name)
        ]
        identity += _managed(identities, identities.attached_policies(kind, name))
    boundary = None
    if user.permissions_boundary is not None:
        (boundary,) = _managed(identities, [user.permissions_boundary])
    return PolicySet(identity=tuple(identity), boundary=boundary, guardrails=_guardrails(identities))


def _guardrails(identities: Identities) -> tuple[Policy, ...]:
    return tuple(_managed(identities, identities.guardrails()))


def _managed(identities: Identities, arns: Iterable[str]) -> Iterable[Policy]:
    for arn in arns:
        found = identities.managed_policy(arn)
        if found is None:
            yield missing_policy(arn)
        else:
            policy, document = found
            yield stored_policy(document, policy.name)
