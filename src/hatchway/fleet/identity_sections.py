"""The sections of the file that describe identities: `policies`, `users`, `groups`, `roles`, `guardrails`."""

import re
from typing import Any, Final

from hatchway.domain.arns import SERVICE_LINKED_ROLE_NAME
from hatchway.domain.identity import OwnerKind
from hatchway.fleet import values
from hatchway.fleet.declarations import (
    NO_BOUNDARY,
    DeclaredGroup,
    DeclaredPolicy,
    DeclaredRole,
    DeclaredUser,
)
from hatchway.fleet.fields import Key, Reader, Table, items_of, named, reader, unique
from hatchway.fleet.policy_documents import Reading
from hatchway.iam import TRUST_QUOTA, PolicyKind, SizeQuota, document_size

DEFAULT_SESSION: Final = 3600

# AWS: "IAM and AWS STS quotas", "IAM identifiers".
_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_LONGEST_NAME: Final = {"user": 64, "group": 128, "role": 64, "policy": 128}
_PATH: Final = re.compile(r"(?=.{1,512}$)/([\x21-\x7e]+/)?")
_INLINE_QUOTA: Final = {
    OwnerKind.USER: SizeQuota.USER_INLINE,
    OwnerKind.GROUP: SizeQuota.GROUP_INLINE,
    OwnerKind.ROLE: SizeQuota.ROLE_INLINE,
}


def _name(kind: str) -> Reader[str]:
    longest = _LONGEST_NAME[kind]
    return values.text(
        re.compile(rf"(?=.{{1,{longest}}}$){_NAME.pattern}"),
        f"a name: up to {longest} letters, digits and _+=,.@- are",
    )


_policy_name: Final = _name("policy")
_reference: Final = values.text(re.compile(r"[\x21-\x7e]{1,2048}"), "a policy's name or ARN")
_policies: Final = unique(_reference)
_groups: Final = unique(values.text(_NAME, "a group's name"))


# --- policy documents -------------------------------------------------------------------------------------

_IN_PLACE: Final = {
    "type": "object",
    "properties": {"Version": {}, "Id": {}, "Statement": {"type": ["object", "array"]}},
    "required": ["Statement"],
    "additionalProperties": False,
}
"""The policy language within is for `hatchway lint`."""


def _document(quota: int, kind: PolicyKind = PolicyKind.IDENTITY) -> Reader[str]:
    @reader({"anyOf": [{"type": "string", "pattern": r"\S"}, _IN_PLACE]})
    def read(value: Any, place: str, reading: Reading) -> str | None:
        return reading.document(value, place, quota=quota, kind=kind)

    return read


def _inline(owner: OwnerKind) -> Reader[dict[str, str]]:
    quota = _INLINE_QUOTA[owner]
    document = _document(quota)

    @reader(
        {
            "type": ["object", "null"],
            "propertyNames": _policy_name.schema,
            "additionalProperties": document.schema,
        }
    )
    def read(value: Any, place: str, reading: Reading) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, item, inside in items_of(value, place, reading):
            _policy_name(name, inside, reading)
            text = document(item, inside, reading)
            if text is not None:
                found[name] = text
        size = sum(map(document_size, found.values()))
        if len(found) > 1 and size > quota:
            reading.add(
                place, f"together they have {size} characters, white space not counted; the quota is {quota}"
            )
        return found

    return read


@reader({"type": ["string", "null"], "pattern": _reference.schema["pattern"]})
def _boundary(value: Any, place: str, reading: Reading) -> str | None:
    return NO_BOUNDARY if value is None else _reference(value, place, reading)


# --- the sections -----------------------------------------------------------------------------------------


def _id(prefix: str) -> Key:
    return Key(
        read=values.text(
            re.compile(rf"{prefix}[A-Z0-9]{{12,28}}"), f"an id such as {prefix}ABCDEFGHIJKLMNOPQ"
        ),
        about="An id to keep; by default it follows from account, kind and name.",
    )


_PATH_KEY: Final = Key(
    read=values.text(_PATH, "a path such as /teams/web/"),
    about="Such as `/teams/web/`. By default left alone.",
)
_DESCRIPTION: Final = Key(read=values.one_line(1000), about="What it is for.", default="")
_TAGS: Final = Key(read=values.identity_tags, about="Tags, as IAM has them.", default={})
_POLICIES: Final = Key(
    read=_policies,
    about="Names or ARNs of managed policies, exactly these. By default left alone.",
)
_BOUNDARY: Final = Key(
    read=_boundary,
    about="A managed policy that bounds all others, or null. By default left alone.",
    nullable=True,
)


def _inline_key(owner: OwnerKind) -> Key:
    return Key(
        read=_inline(owner),
        about="Policies of its own by name, exactly these. By default left alone.",
        nullable=True,
    )


def _is_document(value: Any) -> bool:
    """Whether it is a document rather than a mapping that has one, and says more of the policy."""
    return not isinstance(value, dict) or "Statement" in value or "Version" in value


POLICY: Final = Table(
    declares=DeclaredPolicy,
    keys={
        "id": _id("ANPA"),
        "path": _PATH_KEY,
        "description": _DESCRIPTION,
        "tags": _TAGS,
        "document": Key(
            read=_document(SizeQuota.MANAGED),
            about="The policy document, or the path of one, relative to the fleet file.",
            required=True,
            nullable=True,
        ),
    },
    bare=(
        "document",
        _is_document,
        {"anyOf": [{"not": {"type": "object"}}, {"required": ["Statement"]}, {"required": ["Version"]}]},
    ),
)
USER: Final = Table(
    declares=DeclaredUser,
    keys={
        "id": _id("AIDA"),
        "path": _PATH_KEY,
        "groups": Key(read=_groups, about="Names of groups, exactly these. By default left alone."),
        "inline": _inline_key(OwnerKind.USER),
        "policies": _POLICIES,
        "permissions_boundary": _BOUNDARY,
        "tags": _TAGS,
    },
    needs=(),
)
GROUP: Final = Table(
    declares=DeclaredGroup,
    keys={
        "id": _id("AGPA"),
        "path": _PATH_KEY,
        "inline": _inline_key(OwnerKind.GROUP),
        "policies": _POLICIES,
    },
    needs=(),
)


def _role_name(value: Any, place: str, reading: Reading) -> str | None:
    if value == SERVICE_LINKED_ROLE_NAME:
        reading.add(place, "is the service's own role: the first endpoint makes it, so leave it out")
        return None
    return _plain_role_name(value, place, reading)


_plain_role_name: Final = _name("role")
ROLE: Final = Table(
    declares=DeclaredRole,
    keys={
        "trust": Key(
            read=_document(TRUST_QUOTA, PolicyKind.TRUST),
            about="The policy that says who may assume the role, or the path of its file.",
            required=True,
            hint=": the policy that says who may assume the role",
            nullable=True,
        ),
        "id": _id("AROA"),
        "path": _PATH_KEY,
        "description": _DESCRIPTION,
        "max_session_duration": Key(
            read=values.integer(3600, 43200, "a number of seconds"),
            about="Seconds that a session lasts at most.",
            default=DEFAULT_SESSION,
        ),
        "inline": _inline_key(OwnerKind.ROLE),
        "policies": _POLICIES,
        "permissions_boundary": _BOUNDARY,
        "tags": _TAGS,
    },
)

policies: Final = named(POLICY, _policy_name)
users: Final = named(USER, _name("user"))
groups: Final = named(GROUP, _name("group"))
roles: Final = named(
    ROLE,
    Reader(_role_name, {**_plain_role_name.schema, "not": {"const": SERVICE_LINKED_ROLE_NAME}}),
)
guardrails: Final = _policies
