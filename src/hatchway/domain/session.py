"""Temporary credentials: sessions of roles, of users and of the root user (AWS: "Temporary security
credentials in IAM", "AWS STS API Reference")."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hatchway.domain.network import Tags


class SessionKind(StrEnum):
    """Whose session it is. The root user's has no owner's name."""

    ROLE = "role"
    USER = "user"
    ROOT = "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One set of temporary credentials; their secret is stored apart, sealed as access keys' are.

    `owner_id` is the role's or user's unique id: another of the same name is not the one that this session is
    of. `name` is the role session's. `token_hash` is the SHA-256 of the session token, which is nowhere
    stored. `policy` is an inline session policy's text, `policy_arns` are managed ones. `session_tags`
    are its own, those that it inherited among them; `transitive_tag_keys` those that a session which is
    made with this one inherits. `chained` is whether it was made with another role's session.
    `mfa_authenticated_at` is when a second factor was given for it. `made_by` is the unique id of the user
    with whose credentials a role was assumed, the first of a chain of roles; None of a session that an
    earlier version made.
    """

    access_key_id: str
    kind: SessionKind
    owner_name: str | None
    owner_id: str
    name: str | None
    token_hash: bytes = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    session_tags: Tags = field(default_factory=dict)
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    chained: bool = False
    mfa_authenticated_at: datetime | None = None
    made_by: str | None = None

    @property
    def restricted(self) -> bool:
        """Whether it has session policies, each Allow of which it needs besides its owner's."""
        return self.policy is not None or bool(self.policy_arns)

    def good_at(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return now < self.expires_at
