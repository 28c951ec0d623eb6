"""Identities and what is attached to them (AWS: "IAM identities", "IAM identifiers")."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from hatchway.domain.network import Tags


class OwnerKind(StrEnum):
    """What a policy can be attached to."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"


class KeyStatus(StrEnum):
    ACTIVE = "Active"
    INACTIVE = "Inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    name: str
    id: str
    path: str
    created_at: datetime
    permissions_boundary: str | None = None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    name: str
    id: str
    path: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """`trust_policy` is the document's text; `max_session_duration` is in seconds.

    `linked_service` is set on a service-linked role only, and names the service.
    """

    name: str
    id: str
    path: str
    created_at: datetime
    description: str
    trust_policy: str
    max_session_duration: int = 3600
    linked_service: str | None = None
    permissions_boundary: str | None = None
    tags: Tags = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    user_name: str
    group_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPolicy:
    """`default_version` is the id of the version in force, such as `v2`.

    `latest_version` is the highest number that any version has had, so that none is given twice; None in
    what was stored before there was this field.
    """

    arn: str
    name: str
    id: str
    path: str
    description: str
    created_at: datetime
    updated_at: datetime
    default_version: str
    latest_version: int | None = None
    tags: Tags = field(default_factory=dict)

    def next_version(self, present: Iterable[str]) -> int:
        """The number of its next version; `present` are the ids of those that there are."""
        return max((self.latest_version or 0, *(int(version_id[1:]) for version_id in present))) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    policy_arn: str
    version_id: str
    document: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InlinePolicy:
    owner_kind: OwnerKind
    owner_name: str
    policy_name: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A managed policy attached to a user, group or role."""

    owner_kind: OwnerKind
    owner_name: str
    policy_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A managed policy that bounds the whole account, as a service control policy does."""

    policy_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """`user_name` None is the account's root user. The secret is stored apart, encrypted."""

    id: str
    user_name: str | None
    status: KeyStatus
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyUse:
    """When, with which service and in which region a request was last signed with an access key."""

    access_key_id: str
    used_at: datetime
    service: str
    region: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUse:
    """When a user or role last tried an action of a service."""

    owner_kind: OwnerKind
    owner_name: str
    service: str
    action: str
    used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUsesNoted:
    """Which part of the audit trail the uses of services are noted of: all but what is between.

    `back_to` None: all of what was before is noted.
    """

    id: int
    looked_until: datetime
    back_to: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAccessedJob:
    """That somebody has asked for a report of what an ARN's policies let it use, and when it was used."""

    id: str
    arn: str
    granularity: str
    requested_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecret:
    """An access key's secret under the master key. Only the control plane reads these rows."""

    access_key_id: str
    ciphertext: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSigningKey:
    """A derived signing key under the gateway key: good for one date (`YYYYMMDD`), region and service.

    `sealed_under` says which gateway key that is.
    """

    access_key_id: str
    date: str
    region: str
    service: str
    sealed: bytes = field(repr=False)
    sealed_under: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDeletion:
    """An attempt to delete the role of a service, by the task that tells how it went.

    `endpoint_ids` are those that used the role, and for which it was not deleted; empty when it was.
    """

    id: str
    endpoint_ids: tuple[str, ...]
    created_at: datetime
