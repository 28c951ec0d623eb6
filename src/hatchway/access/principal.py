"""Who is calling (AWS: "Principal", "IAM identifiers")."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from hatchway.domain.session import Session
from hatchway.iam import PolicySet


class PrincipalType(StrEnum):
    """The values of `aws:PrincipalType`. `Account` is the account's root user."""

    USER = "User"
    ROOT = "Account"
    ASSUMED_ROLE = "AssumedRole"


_TRAIL_TYPES: Final = {
    PrincipalType.USER: "IAMUser",
    PrincipalType.ROOT: "Root",
    PrincipalType.ASSUMED_ROLE: "AssumedRole",
}
"""What the audit trail calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """The role behind a session."""

    arn: str
    id: str
    name: str
    max_session_duration: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A user, the root user or a role's session.

    `arn` is a session's own for an assumed role, whose `issuer` is the role. `user_id` is `aws:userid`: the
    user's unique id, the account's number for the root user, the role's id and the session's name for an
    assumed role. `session` is there when the credentials are temporary. `tags` are the role's too, the
    session's in place of them where both have one.
    """

    arn: str
    account: str
    type: PrincipalType
    user_id: str
    user_name: str | None
    access_key_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    session: Session | None = field(default=None, repr=False)
    issuer: Issuer | None = None

    @property
    def trail_name(self) -> str | None:
        """What the audit trail's look-ups call it: a user's name, or a role session's."""
        if self.issuer is not None and self.session is not None:
            return self.session.name
        return self.user_name

    @property
    def maker_id(self) -> str:
        """The unique id of the user who is behind a call, whatever roles it assumes: what is counted of each
        caller is counted by this. Of a role's session that does not tell, the role's."""
        if self.issuer is None:
            return self.user_id
        made_by = None if self.session is None else self.session.made_by
        return self.issuer.id if made_by is None else made_by

    def user_identity(self) -> dict[str, Any]:
        """The principal as events of the audit trail name it (AWS: "CloudTrail userIdentity element")."""
        identity: dict[str, Any] = {
            "type": _TRAIL_TYPES[self.type],
            "principalId": self.user_id,
            "arn": self.arn,
            "accountId": self.account,
            "accessKeyId": self.access_key_id,
        }
        if self.user_name is not None:
            identity["userName"] = self.user_name
        if self.session is not None:
            identity["sessionContext"] = self._session_context(self.session)
        return identity

    def _session_context(self, session: Session) -> dict[str, Any]:
        context: dict[str, Any] = {}
        if self.issuer is not None:
            context["sessionIssuer"] = {
                "type": "Role",
                "principalId": self.issuer.id,
                "arn": self.issuer.arn,
                "accountId": self.account,
                "userName": self.issuer.name,
            }
        context["attributes"] = {
            "creationDate": _iso_8601(session.issued_at),
            "mfaAuthenticated": _told(session.mfa_authenticated_at is not None),
        }
        if session.source_identity is not None:
            context["sourceIdentity"] = session.source_identity
        return context

    def condition_keys(self) -> Mapping[str, str | tuple[str, ...]]:
        """What conditions can ask about the principal (AWS: "AWS global condition context keys").

        Of what changes with time, such as the age of a second factor, there is nothing here.
        """
        keys: dict[str, str | tuple[str, ...]] = {
            "aws:PrincipalArn": self.arn if self.issuer is None else self.issuer.arn,
            "aws:PrincipalAccount": self.account,
            "aws:PrincipalType": self.type.value,
            "aws:userid": self.user_id,
        }
        if self.user_name is not None:
            keys["aws:username"] = self.user_name
        keys.update({f"aws:PrincipalTag/{key}": value for key, value in self.tags.items()})
        session = self.session
        if session is not None:
            keys["aws:TokenIssueTime"] = _iso_8601(session.issued_at)
            keys["aws:MultiFactorAuthPresent"] = _told(session.mfa_authenticated_at is not None)
            if session.source_identity is not None:
                keys["aws:SourceIdentity"] = session.source_identity
        return keys


def _iso_8601(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _told(fact: bool) -> str:
    return "true" if fact else "false"


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with its policies, compiled once and used for each of its requests.

    `keys` are the condition keys that are the same for all of these.
    """

    principal: Principal
    policies: PolicySet
    keys: Mapping[str, str | tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", self.principal.condition_keys())
