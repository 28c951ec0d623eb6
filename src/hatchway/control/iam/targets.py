"""Whom a call is about: the user named, or the caller itself; and what a permission check on it sees."""

from collections.abc import Mapping
from dataclasses import dataclass

from hatchway.access.authorization import Check, Context
from hatchway.control.operations import Call
from hatchway.domain.identity import Role, User
from hatchway.domain.network import Tags
from hatchway.protocol import ServiceError


def no_such_user(name: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The user with name {name} cannot be found.")


def tag_keys(tags: Tags) -> Context:
    """`aws:ResourceTag/k` and IAM's own `iam:ResourceTag/k`."""
    return {
        f"{service}:ResourceTag/{key}": value for key, value in tags.items() for service in ("aws", "iam")
    }


@dataclass(frozen=True, slots=True)
class UserTarget:
    """The user that a call is about. `user` None: there is none of that name.

    A user that is not there has the ARN that it would have without a path, so that who may not ask about it
    cannot tell it from one that is there and has none.
    """

    name: str
    user: User | None

    @classmethod
    def named(cls, call: Call, name: str) -> "UserTarget":
        return cls(name, call.tx.users.get(name))

    def check(self, call: Call, action: str, more: Context | None = None) -> Check:
        """The check of an action on this user."""
        path, tags = ("/", {}) if self.user is None else (self.user.path, self.user.tags)
        keys = {**tag_keys(tags), **_boundary_keys(self.user), **(more or {})}
        return Check(f"iam:{action}", (call.arns.user(self.name, path),), context=keys)

    def existing(self) -> User:
        """
        Raises:
            ServiceError: there is no such user.
        """
        if self.user is None:
            raise no_such_user(self.name)
        return self.user


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose access keys a call is about: a user's, or the root user's (`target` None)."""

    target: UserTarget | None

    @classmethod
    def of(cls, call: Call) -> "KeyOwner":
        """The user that `UserName` names; without it the caller, which may be the root user."""
        name = call.parameters.get("UserName") or call.caller.principal.user_name
        return cls(None if name is None else UserTarget.named(call, name))

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


def role_arn(call: Call, name: str, role: Role | None) -> str:
    """A role's ARN; one that is not there has the ARN that it would have without a path."""
    return call.arns.role(name, "/" if role is None else role.path)


def _boundary_keys(user: User | None) -> Mapping[str, str]:
    if user is None or user.permissions_boundary is None:
        return {}
    return {"iam:PermissionsBoundary": user.permissions_boundary}
