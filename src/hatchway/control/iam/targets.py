"""What a call is about: the user, group, role or policy that it names; and what a check on it sees.

Users, groups, roles and policies have many operations alike. Such operations are one function, which
`on_each` registers for each kind of target:

    @on_each(USERS, GROUPS, ROLES, name="Delete{}Policy", reads_only=False)
    def delete_inline_policy(call: Call, action: str, target: Target[Any]) -> Result:
        call.authorize(target.check(call, action))
        …
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Table

from hatchway.access.authorization import Check, Context
from hatchway.access.principal import PrincipalType
from hatchway.control.operations import Call, Result, operation
from hatchway.domain.arns import Arns
from hatchway.domain.identity import Group, ManagedPolicy, OwnerKind, Role, User
from hatchway.domain.network import Tags
from hatchway.protocol import ServiceError
from hatchway.store import Rows, tables

_OF_AWS: Final = "arn:aws:iam::aws:policy/"
_POLICY_ARN: Final = re.compile(r"arn:aws:iam::([0-9]{12}|aws):policy/.+")

Noun = TypeVar("Noun", User, Group, Role, ManagedPolicy)


def tag_keys(tags: Tags) -> Context:
    """`aws:ResourceTag/k` and IAM's own `iam:ResourceTag/k`."""
    return {
        f"{service}:ResourceTag/{key}": value for key, value in tags.items() for service in ("aws", "iam")
    }


def boundary_keys(boundary: str | None) -> Context:
    return {} if boundary is None else {"iam:PermissionsBoundary": boundary}


def caller_name(call: Call) -> str | None:
    """The name of the user who calls, for whom no user is named; None of the root user.

    Raises:
        ServiceError: a role's session calls.
    """
    principal = call.caller.principal
    if principal.type not in (PrincipalType.USER, PrincipalType.ROOT):
        raise ServiceError("ValidationError", "Must specify userName when calling with non-User credentials")
    return principal.user_name


@dataclass(frozen=True, slots=True)
class Kind(Generic[Noun]):
    """A kind of target.

    Attributes:
        word: what operations and their parameters call it.
        parameter: the parameter that names one.
        owner: what policies attached to it say that it is; None for what none can be attached to.
        rows: where those that there are can be found.
        table: their table.
        arn: the ARN of one with a name and path.
    """

    word: str
    parameter: str
    owner: OwnerKind | None
    rows: Callable[[Call], Rows[Noun]]
    table: Table
    arn: Callable[[Arns, str, str], str]

    def named(self, call: Call, name: str) -> "Target[Noun]":
        return Target(self, name, self.rows(call).get(name))

    def target(self, call: Call) -> "Target[Noun]":
        """The one that the call's parameters name."""
        return self.named(call, call.parameters[self.parameter])


@dataclass(frozen=True, slots=True)
class Target(Generic[Noun]):
    """What a call is about, by its name; a policy by its ARN. `found` None: there is none of that name.

    One that is not there has the ARN that it would have without a path, so that who may not ask about it
    cannot tell it from one that is there and has none.
    """

    kind: Kind[Noun]
    name: str
    found: Noun | None

    def arn(self, call: Call) -> str:
        return self.kind.arn(call.arns, self.name, "/" if self.found is None else self.found.path)

    @property
    def owner(self) -> dict[str, Any]:
        """The columns by which rows name whose they are."""
        return {"owner_kind": self.kind.owner, "owner_name": self.name}

    @property
    def tags(self) -> Tags:
        return {} if self.found is None or isinstance(self.found, Group) else self.found.tags

    @property
    def boundary(self) -> str | None:
        return self.found.permissions_boundary if isinstance(self.found, User | Role) else None

    def check(self, call: Call, action: str, more: Context | None = None, *, bounded: bool = False) -> Check:
        """The check of an action on it. `bounded`: the action is one that has `iam:PermissionsBoundary`."""
        boundary = boundary_keys(self.boundary) if bounded else {}
        tags = tag_keys(self.tags)
        if self.kind.owner is None:
            # AWS: "IAM and AWS STS condition context keys": `iam:ResourceTag` is of users and roles.
            tags = {key: value for key, value in tags.items() if not key.startswith("iam:")}
        keys = {**tags, **boundary, **(more or {})}
        return Check(f"iam:{action}", (self.arn(call),), context=keys)

    def existing(self) -> Noun:
        """
        Raises:
            ServiceError: there is none.
        """
        if self.found is None:
            raise self.missing()
        return self.found

    def modifiable(self) -> Noun:
        """
        Raises:
            ServiceError: there is none, or it is the role of a service, which that service alone changes.
        """
        found = self.existing()
        if isinstance(found, Role) and found.linked_service is not None:
            raise ServiceError(
                "UnmodifiableEntity",
                f"Cannot perform the operation on the protected role '{found.name}' - this role is only "
                "modifiable by AWS",
            )
        return found

    def missing(self) -> ServiceError:
        if self.kind.owner is None:
            return _no_such_policy(self.name, "was not found.")
        return ServiceError("NoSuchEntity", f"The {self.kind.owner} with name {self.name} cannot be found.")


def require_attachable(call: Call, policy_arn: str) -> None:
    """
    Raises:
        ServiceError: there is no such managed policy.
    """
    if call.tx.managed_policies.get(policy_arn) is None:
        raise _no_such_policy(policy_arn, "does not exist or is not attachable.")


def _no_such_policy(arn: str, sentence: str) -> ServiceError:
    if _POLICY_ARN.fullmatch(arn) is None:
        return ServiceError("InvalidInput", f"ARN {arn} is not valid.")
    hint = " AWS's own managed policies are not here: make one with the permissions meant."
    return ServiceError("NoSuchEntity", f"Policy {arn} {sentence}{hint if arn.startswith(_OF_AWS) else ''}")


USERS: Final[Kind[User]] = Kind(
    "User", "UserName", OwnerKind.USER, lambda call: call.tx.users, tables.users, Arns.user
)
GROUPS: Final[Kind[Group]] = Kind(
    "Group", "GroupName", OwnerKind.GROUP, lambda call: call.tx.groups, tables.groups, Arns.group
)
ROLES: Final[Kind[Role]] = Kind(
    "Role", "RoleName", OwnerKind.ROLE, lambda call: call.tx.roles, tables.roles, Arns.role
)
POLICIES: Final[Kind[ManagedPolicy]] = Kind(
    "Policy",
    "PolicyArn",
    None,
    lambda call: call.tx.managed_policies,
    tables.managed_policies,
    lambda _arns, arn, _path: arn,
)

OnTarget = Callable[[Call, str, Target[Any]], Result]


def on_each(*kinds: Kind[Any], name: str, reads_only: bool) -> Callable[[OnTarget], OnTarget]:
    """Makes a function one operation for each kind; `name` is its name with `{}` for the kind's word.

    The function is given the operation's name and the target that the call names.
    """

    def register(run: OnTarget) -> OnTarget:
        for kind in kinds:
            action = name.format(kind.word)
            operation("iam", action, reads_only=reads_only)(_bound(run, action, kind))
        return run

    return register


def _bound(run: OnTarget, action: str, kind: Kind[Any]) -> Callable[[Call], Result]:
    @wraps(run)
    def run_on(call: Call) -> Result:
        return run(call, action, kind.target(call))

    return run_on


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose access keys a call is about: a user's, or the root user's (`target` None)."""

    target: Target[User] | None

    @classmethod
    def of(cls, call: Call) -> "KeyOwner":
        """The user that `UserName` names; without it the caller, which may be the root user.

        Raises:
            ServiceError: without it, and the caller is neither: a role has no access keys.
        """
        name = call.parameters.get("UserName") or caller_name(call)
        return cls(None if name is None else USERS.named(call, name))

    @property
    def user_name(self) -> str | None:
        return None if self.target is None else self.target.name

    def check(self, call: Call, action: str) -> Check:
        if self.target is None:
            return Check(f"iam:{action}", (call.arns.root,))
        return self.target.check(call, action)

    def require(self) -> None:
        """
        Raises:
            ServiceError: there is no such user.
        """
        if self.target is not None:
            self.target.existing()
