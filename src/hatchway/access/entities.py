"""Users, groups and roles as a simulation takes them: all their policies, each with where it is from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hatchway.access.authorization import Context
from hatchway.access.identities import StoredIdentities
from hatchway.access.stored_policies import missing_policy, stored_policy
from hatchway.domain.identity import OwnerKind
from hatchway.iam import Policy

INPUT_TYPE = "none"
"""The type of a policy that is nowhere stored (AWS: IAM API Reference, "Statement")."""


@dataclass(frozen=True, slots=True)
class SourcedPolicy:
    """A policy under its id, which is its name too, and the type of its source, in AWS's words.

    The ids are AWS's: a managed policy's name; `user_alice_extra` for the inline policy `extra` of the user
    `alice`; `PolicyInputList.1` for the first of a request.
    """

    policy: Policy
    type: str

    @property
    def id(self) -> str:
        return self.policy.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What bears on the requests of a user, or would if a group or role made some itself."""

    kind: OwnerKind
    name: str
    arn: str
    id: str
    account: str
    tags: Mapping[str, str] = field(default_factory=dict)
    identity: tuple[SourcedPolicy, ...] = ()
    boundary: SourcedPolicy | None = None
    guardrails: tuple[SourcedPolicy, ...] = ()

    @property
    def keys(self) -> Context:
        """The condition keys that say who asks (AWS: "AWS global condition context keys")."""
        if self.kind is OwnerKind.GROUP:
            return {"aws:PrincipalAccount": self.account}
        tags = {f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()}
        if self.kind is OwnerKind.ROLE:
            return _caller_keys(self.arn, self.account, "AssumedRole") | tags
        own = {"aws:userid": self.id, "aws:username": self.name}
        return _caller_keys(self.arn, self.account, "User") | own | tags


def caller_keys(arn: str) -> Context:
    """What the ARN alone of a user or role tells of a caller; nothing is looked up.

    Raises:
        ValueError: it is not the ARN of a user or role.
    """
    kind, account, name = read_entity_arn(arn)
    if kind is OwnerKind.USER:
        return _caller_keys(arn, account, "User") | {"aws:username": name}
    if kind is OwnerKind.ROLE:
        return _caller_keys(arn, account, "AssumedRole")
    raise ValueError(f"{arn} is not the ARN of a user or role")


def _caller_keys(arn: str, account: str, type_: str) -> dict[str, str | tuple[str, ...]]:
    return {"aws:PrincipalArn": arn, "aws:PrincipalAccount": account, "aws:PrincipalType": type_}


def read_entity_arn(arn: str) -> tuple[OwnerKind, str, str]:
    """Kind, account and name of the user, group or role that an ARN names.

    Raises:
        ValueError: it names none.
    """
    segments = arn.split(":", 5)
    kind, _, path_and_name = segments[-1].partition("/")
    name = path_and_name.rpartition("/")[2]
    if (
        len(segments) != 6
        or segments[:4] != ["arn", "aws", "iam", ""]
        or kind not in set(OwnerKind)
        or not name
    ):
        raise ValueError(f"{arn} is not the ARN of a user, group or role")
    return OwnerKind(kind), segments[4], name


def find_entity(identities: StoredIdentities, kind: OwnerKind, name: str) -> Entity | None:
    """The user, group or role of that name, if there is one."""
    tx, arns = identities.tx, identities.arns
    if kind is OwnerKind.GROUP:
        group = tx.groups.get(name)
        if group is None:
            return None
        arn, id_, tags, boundary = arns.group(name, group.path), group.id, {}, None
    else:
        row = tx.users.get(name) if kind is OwnerKind.USER else tx.roles.get(name)
        if row is None:
            return None
        make_arn = arns.user if kind is OwnerKind.USER else arns.role
        arn, id_, tags, boundary = make_arn(name, row.path), row.id, dict(row.tags), row.permissions_boundary
    owners = [(kind, name)]
    if kind is OwnerKind.USER:
        owners += [(OwnerKind.GROUP, group_name) for group_name in identities.groups_of(name)]
    return Entity(
        kind=kind,
        name=name,
        arn=arn,
        id=id_,
        account=arns.account,
        tags=tags,
        identity=tuple(policy for owner in owners for policy in _policies_of(identities, *owner)),
        boundary=None if boundary is None else _managed(identities, boundary),
        guardrails=tuple(_managed(identities, guardrail) for guardrail in identities.guardrails()),
    )


def _policies_of(identities: StoredIdentities, kind: OwnerKind, name: str) -> Iterable[SourcedPolicy]:
    for inline in identities.inline_policies(kind, name):
        policy = stored_policy(inline.document, f"{kind}_{name}_{inline.policy_name}")
        yield SourcedPolicy(policy, str(kind))
    for arn in identities.attached_policies(kind, name):
        yield _managed(identities, arn)


def _managed(identities: StoredIdentities, arn: str) -> SourcedPolicy:
    found = identities.managed_policy(arn)
    policy = missing_policy(arn) if found is None else stored_policy(found[1], found[0].name)
    return SourcedPolicy(policy, "user-managed")
