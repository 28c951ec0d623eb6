"""An identity's policies, from whatever holds the account's rows: a transaction, or a gateway's snapshot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hatchway.access.context import completed_tags
from hatchway.access.principal import Caller, Issuer, Principal, PrincipalType
from hatchway.access.stored_policies import missing_policy, stored_policy
from hatchway.domain.arns import Arns
from hatchway.domain.identity import (
    AccessKey,
    InlinePolicy,
    KeyStatus,
    ManagedPolicy,
    OwnerKind,
    Role,
    User,
)
from hatchway.domain.session import Session, SessionKind
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
        "roles",
    }
)
"""The tables of the store whose rows these are, but for `sessions`, of which each is one caller's."""


class Identities(Protocol):
    """The rows that decide who a caller is and what it may do."""

    @property
    def arns(self) -> Arns: ...
    def access_key(self, key_id: str) -> AccessKey | None: ...
    def session(self, key_id: str) -> Session | None: ...
    def user(self, name: str) -> User | None: ...
    def role(self, name: str) -> Role | None: ...
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

    def session(self, key_id: str) -> Session | None:
        return self.tx.sessions.get(key_id)

    def user(self, name: str) -> User | None:
        return self.tx.users.get(name)

    def role(self, name: str) -> Role | None:
        return self.tx.roles.get(name)

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
    """Who holds an access key, with its policies.

    None: no such key, or inactive, or its user or role is gone. Whether temporary credentials have expired is
    not asked here: an open tunnel outlives them.
    """
    session = identities.session(key_id)
    if session is not None:
        return _session_caller(identities, session)
    key = identities.access_key(key_id)
    if key is None or key.status is not KeyStatus.ACTIVE:
        return None
    if key.user_name is None:
        return _root_caller(identities, key_id)
    user = identities.user(key.user_name)
    return None if user is None else _user_caller(identities, user, key_id)


def _root_caller(identities: Identities, key_id: str, session: Session | None = None) -> Caller:
    arns = identities.arns
    root = Principal(
        arn=arns.root,
        account=arns.account,
        type=PrincipalType.ROOT,
        user_id=arns.account,
        user_name=None,
        access_key_id=key_id,
        session=session,
    )
    return Caller(root, PolicySet(guardrails=_guardrails(identities), is_root=True))


def _user_caller(identities: Identities, user: User, key_id: str, session: Session | None = None) -> Caller:
    arns = identities.arns
    principal = Principal(
        arn=arns.user(user.name, user.path),
        account=arns.account,
        type=PrincipalType.USER,
        user_id=user.id,
        user_name=user.name,
        access_key_id=key_id,
        tags=user.tags,
        session=session,
    )
    return Caller(principal, user_policies(identities, user))


def _session_caller(identities: Identities, session: Session) -> Caller | None:
    """The caller of temporary credentials; None when what they are of is gone, or another of its name."""
    key_id = session.access_key_id
    if session.kind is SessionKind.ROOT:
        return _root_caller(identities, key_id, session)
    if session.kind is SessionKind.USER:
        user = identities.user(session.owner_name or "")
        if user is None or user.id != session.owner_id:
            return None
        return _user_caller(identities, user, key_id, session)
    role = identities.role(session.owner_name or "")
    if role is None or role.id != session.owner_id:
        return None
    arns = identities.arns
    principal = Principal(
        arn=arns.assumed_role(role.name, session.name or ""),
        account=arns.account,
        type=PrincipalType.ASSUMED_ROLE,
        user_id=f"{role.id}:{session.name}",
        user_name=None,
        access_key_id=key_id,
        tags=completed_tags(session.session_tags, role.tags),
        session=session,
        issuer=Issuer(
            arn=arns.role(role.name, role.path),
            id=role.id,
            name=role.name,
            max_session_duration=role.max_session_duration,
        ),
    )
    return Caller(principal, role_policies(identities, role, session))


def user_policies(identities: Identities, user: User) -> PolicySet:
    """All that applies to a user: its own policies, those of its groups, its boundary, the guardrails."""
    owners = [(OwnerKind.USER, user.name)]
    owners += [(OwnerKind.GROUP, group) for group in identities.groups_of(user.name)]
    return PolicySet(
        identity=_identity(identities, owners),
        boundary=_boundary(identities, user),
        guardrails=_guardrails(identities),
    )


def role_policies(identities: Identities, role: Role, session: Session) -> PolicySet:
    """All that applies to a role's session: the role's policies and boundary, the session's, the
    guardrails."""
    return PolicySet(
        identity=_identity(identities, [(OwnerKind.ROLE, role.name)]),
        boundary=_boundary(identities, role),
        session=_session_policies(identities, session) if session.restricted else None,
        guardrails=_guardrails(identities),
    )


def _identity(identities: Identities, owners: Iterable[tuple[OwnerKind, str]]) -> tuple[Policy, ...]:
    policies: list[Policy] = []
    for kind, name in owners:
        policies += [
            stored_policy(policy.document, policy.policy_name)
            for policy in identities.inline_policies(kind, name)
        ]
        policies += _managed(identities, identities.attached_policies(kind, name))
    return tuple(policies)


def _boundary(identities: Identities, identity: User | Role) -> Policy | None:
    if identity.permissions_boundary is None:
        return None
    (boundary,) = _managed(identities, [identity.permissions_boundary])
    return boundary


def _session_policies(identities: Identities, session: Session) -> tuple[Policy, ...]:
    inline = [] if session.policy is None else [stored_policy(session.policy, "session policy")]
    return (*inline, *_managed(identities, session.policy_arns))


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
