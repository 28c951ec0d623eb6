"""The sections of the file that describe identities: `policies`, `users`, `groups`, `roles`, `guardrails`."""

import re
from typing import Any, Final

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.identity import OwnerKind
from hatchway.fleet import values
from hatchway.fleet.declarations import (
    DeclaredGroup,
    DeclaredPolicy,
    DeclaredRole,
    DeclaredUser,
    Permissions,
)
from hatchway.fleet.fields import Fields, Reader, items_of, known, unique
from hatchway.fleet.policy_documents import DocumentReader
from hatchway.fleet.problems import Problems, quoted
from hatchway.iam import TRUST_QUOTA, PolicyKind, SizeQuota, document_size

POLICY_KEYS: Final = known("id", "path", "description", "document", "tags")
USER_KEYS: Final = known("id", "path", "groups", "policies", "inline", "permissions_boundary", "tags")
GROUP_KEYS: Final = known("id", "path", "policies", "inline")
ROLE_KEYS: Final = known(
    "id",
    "path",
    "description",
    "trust",
    "policies",
    "inline",
    "permissions_boundary",
    "max_session_duration",
    "tags",
)
DEFAULT_SESSION: Final = 3600

# AWS: "IAM and AWS STS quotas", "IAM identifiers".
_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_LONGEST_NAME: Final = {"user": 64, "group": 128, "role": 64, "policy": 128}
_PATH: Final = re.compile(r"(?=.{1,512}\Z)/([\x21-\x7e]+/)?")
_INLINE_QUOTA: Final = {
    OwnerKind.USER: SizeQuota.USER_INLINE,
    OwnerKind.GROUP: SizeQuota.GROUP_INLINE,
    OwnerKind.ROLE: SizeQuota.ROLE_INLINE,
}


def _id(prefix: str) -> Reader[str]:
    return values.text(re.compile(rf"{prefix}[A-Z0-9]{{12,28}}"), f"an id such as {prefix}ABCDEFGHIJKLMNOPQ")


_user_id, _group_id, _role_id, _policy_id = _id("AIDA"), _id("AGPA"), _id("AROA"), _id("ANPA")
_path: Final = values.text(_PATH, "a path such as /teams/web/")
_reference: Final = values.text(re.compile(r"[\x21-\x7e]{1,2048}"), "a policy's name or ARN")
_policies: Final = unique(_reference)
_groups: Final = unique(values.text(_NAME, "a group's name"))
_description: Final = values.one_line(1000)
_session: Final = values.integer(3600, 43200, "a number of seconds")


def _named(kind: str, key: str, place: str, problems: Problems) -> bool:
    longest = _LONGEST_NAME[kind]
    good = _NAME.fullmatch(key) is not None and len(key) <= longest
    if not good:
        problems.add(place, f"{quoted(key)} is not a name: up to {longest} letters, digits and _+=,.@- are")
    return good


class IdentitySections:
    """Readers of the sections; all read documents through one reader."""

    def __init__(self, documents: DocumentReader) -> None:
        self._documents = documents

    def policies(self, value: Any, place: str, problems: Problems) -> tuple[DeclaredPolicy, ...]:
        found = (self._policy(*item, problems) for item in items_of(value, place, problems))
        return tuple(policy for policy in found if policy is not None)

    def _policy(self, name: str, value: Any, place: str, problems: Problems) -> DeclaredPolicy | None:
        before = len(problems)
        _named("policy", name, place, problems)
        # A mapping without the language's own elements is a policy with more to say than its document.
        if not isinstance(value, dict) or "Statement" in value or "Version" in value:
            value = {"document": value}
            document_place = place
        else:
            document_place = f"{place}.document"
        fields = Fields(value, place, POLICY_KEYS, problems)
        policy_id = fields.take("id", _policy_id)
        path = fields.take("path", _path)
        description = fields.take("description", _description)
        tags = fields.take("tags", values.identity_tags)
        document = None
        if "document" in fields:
            document = self._documents.read(
                fields.raw("document"), document_place, problems, quota=SizeQuota.MANAGED
            )
        else:
            fields.problem(None, "has no 'document'")
        if len(problems) > before or document is None:
            return None
        return DeclaredPolicy(
            place=place,
            name=name,
            id=policy_id,
            path=path,
            description=description or "",
            document=document,
            tags=tags or {},
        )

    def _permissions(self, fields: Fields, kind: OwnerKind, problems: Problems) -> Permissions:
        inline = self._inline(fields, kind, problems) if "inline" in fields else None
        given = "permissions_boundary" in fields
        removed = given and fields.raw("permissions_boundary") is None
        return Permissions(
            policies=fields.take("policies", _policies),
            inline=inline,
            boundary=None if removed else fields.take("permissions_boundary", _reference),
            boundary_given=given,
        )

    def _inline(self, fields: Fields, kind: OwnerKind, problems: Problems) -> dict[str, str]:
        place, quota = f"{fields.place}.inline", _INLINE_QUOTA[kind]
        found: dict[str, str] = {}
        for name, value, inside in items_of(fields.raw("inline"), place, problems):
            _named("policy", name, inside, problems)
            text = self._documents.read(value, inside, problems, quota=quota)
            if text is not None:
                found[name] = text
        size = sum(map(document_size, found.values()))
        if len(found) > 1 and size > quota:
            problems.add(
                place, f"together they have {size} characters, white space not counted; the quota is {quota}"
            )
        return found

    def users(self, value: Any, place: str, problems: Problems) -> tuple[DeclaredUser, ...]:
        found = (self._user(*item, problems) for item in items_of(value, place, problems))
        return tuple(user for user in found if user is not None)

    def _user(self, name: str, value: Any, place: str, problems: Problems) -> DeclaredUser | None:
        fields = Fields(value, place, USER_KEYS, problems)
        named = _named("user", name, place, problems)
        user = DeclaredUser(
            place=place,
            name=name,
            id=fields.take("id", _user_id),
            path=fields.take("path", _path),
            groups=fields.take("groups", _groups),
            permissions=self._permissions(fields, OwnerKind.USER, problems),
            tags=fields.take("tags", values.identity_tags) or {},
        )
        # Whatever else is wrong with it, what it refers to can be looked at.
        return user if named else None

    def groups(self, value: Any, place: str, problems: Problems) -> tuple[DeclaredGroup, ...]:
        found = (self._group(*item, problems) for item in items_of(value, place, problems))
        return tuple(group for group in found if group is not None)

    def _group(self, name: str, value: Any, place: str, problems: Problems) -> DeclaredGroup | None:
        fields = Fields(value, place, GROUP_KEYS, problems)
        named = _named("group", name, place, problems)
        group = DeclaredGroup(
            place=place,
            name=name,
            id=fields.take("id", _group_id),
            path=fields.take("path", _path),
            permissions=self._permissions(fields, OwnerKind.GROUP, problems),
        )
        return group if named else None

    def roles(self, value: Any, place: str, problems: Problems) -> tuple[DeclaredRole, ...]:
        found = (self._role(*item, problems) for item in items_of(value, place, problems))
        return tuple(role for role in found if role is not None)

    def _role(self, name: str, value: Any, place: str, problems: Problems) -> DeclaredRole | None:
        fields = Fields(value, place, ROLE_KEYS, problems)
        _named("role", name, place, problems)
        if name == SERVICE_LINKED_ROLE_NAME:
            fields.problem(None, "is the service's own role: the first endpoint makes it, so leave it out")
        trust = None
        if "trust" in fields:
            trust = self._documents.read(
                fields.raw("trust"), f"{place}.trust", problems, quota=TRUST_QUOTA, kind=PolicyKind.TRUST
            )
        else:
            fields.problem(None, "has no 'trust': the policy that says who may assume the role")
        role = DeclaredRole(
            place=place,
            name=name,
            id=fields.take("id", _role_id),
            path=fields.take("path", _path),
            description=fields.take("description", _description) or "",
            trust=trust or "",
            max_session_duration=fields.take("max_session_duration", _session) or DEFAULT_SESSION,
            permissions=self._permissions(fields, OwnerKind.ROLE, problems),
            tags=fields.take("tags", values.identity_tags) or {},
        )
        return role if fields.valid else None


guardrails: Final = _policies
