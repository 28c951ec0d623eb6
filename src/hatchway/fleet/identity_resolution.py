"""Resolving identities: managed policies, groups, users, roles and what is attached to each."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from hatchway.domain.identity import (
    Attachment,
    Group,
    Guardrail,
    InlinePolicy,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    Role,
    User,
)
from hatchway.domain.ids import Kind, derived_id
from hatchway.fleet.account_view import Owner
from hatchway.fleet.declarations import (
    NO_BOUNDARY,
    BoundedPermissions,
    DeclaredGroup,
    DeclaredPolicy,
    DeclaredRole,
    DeclaredUser,
    Fleet,
    Permissions,
)
from hatchway.fleet.draft import Draft
from hatchway.fleet.policy_documents import same_document
from hatchway.iam import MAX_POLICY_VERSIONS

Versions = dict[str, PolicyVersion]
AttachmentKey = tuple[OwnerKind, str, str]


def resolve_identities(draft: Draft, fleet: Fleet) -> None:
    """Puts the policies, groups, users, roles and guardrails of the file into the draft."""
    _resolve_policies(draft, fleet.policies)
    links = _Links.of(draft)
    for group in fleet.groups:
        _resolve_group(draft, links, group)
    for user in fleet.users:
        _resolve_user(draft, links, user)
    for role in fleet.roles:
        _resolve_role(draft, links, role)
    _resolve_guardrails(draft, links, fleet.guardrails)


def _same_id(
    draft: Draft,
    declared: DeclaredPolicy | DeclaredGroup | DeclaredUser | DeclaredRole,
    present: ManagedPolicy | Group | User | Role | None,
) -> None:
    """An identity that is there keeps its id for good."""
    if present is not None and declared.id not in (None, present.id):
        draft.problems.add(
            f"{declared.place}.id", f"{declared.id} is not the id that the account has for it, {present.id}"
        )


# --- managed policies -------------------------------------------------------------------------------------


def _resolve_policies(draft: Draft, policies: tuple[DeclaredPolicy, ...]) -> None:
    rows = draft.before.rows
    paths = {policy.name: policy.path for policy in rows.managed_policies.values()}
    versions: defaultdict[str, Versions] = defaultdict(dict)
    for version in rows.policy_versions.values():
        versions[version.policy_arn][version.version_id] = version
    for declared in policies:
        path = declared.path or paths.get(declared.name, "/")
        arn = draft.arns.managed_policy(declared.name, path)
        _resolve_policy(draft, declared, path, versions[arn])


def _resolve_policy(draft: Draft, declared: DeclaredPolicy, path: str, versions: Versions) -> None:
    arn = draft.arns.managed_policy(declared.name, path)
    draft.claim("managed_policies", arn, declared.place)
    present = draft.before.rows.managed_policies.get(arn)
    _same_id(draft, declared, present)
    if present is None:
        policy = ManagedPolicy(
            arn=arn,
            name=declared.name,
            id=declared.id or derived_id(Kind.MANAGED_POLICY, draft.account, declared.name),
            path=path,
            description=declared.description,
            created_at=draft.now,
            updated_at=draft.now,
            default_version="v1",
            tags=declared.tags,
        )
    else:
        policy = replace(present, description=declared.description, tags=declared.tags)
    default = versions.get(policy.default_version)
    if default is None or not same_document(default.document, declared.document):
        number = policy.next_version(versions)
        version_id = f"v{number}"
        versions[version_id] = PolicyVersion(
            policy_arn=arn, version_id=version_id, document=declared.document, created_at=draft.now
        )
        policy = replace(policy, default_version=version_id, latest_version=number, updated_at=draft.now)
    draft.after.managed_policies[arn] = policy
    kept = sorted(versions, key=lambda version_id: int(version_id[1:]))[-MAX_POLICY_VERSIONS:]
    for version_id, version in versions.items():
        if version_id in kept:
            draft.after.policy_versions[arn, version_id] = version
        else:
            draft.after.policy_versions.pop((arn, version_id), None)


# --- links between identities and policies ----------------------------------------------------------------


@dataclass(slots=True)
class _Links:
    """What is attached to whom in the draft, by the owner; and policies by their names."""

    draft: Draft
    policies: dict[str, str] = field(default_factory=dict)
    policies_before: frozenset[str] = frozenset()
    attachments: defaultdict[Owner, list[AttachmentKey]] = field(default_factory=lambda: defaultdict(list))
    inline: defaultdict[Owner, list[AttachmentKey]] = field(default_factory=lambda: defaultdict(list))
    memberships: defaultdict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, draft: Draft) -> "_Links":
        before = draft.before.rows.managed_policies
        links = cls(
            draft,
            {policy.name: arn for arn, policy in draft.after.managed_policies.items()},
            frozenset(policy.name for policy in before.values()) | before.keys(),
        )
        for key in draft.after.attachments:
            links.attachments[key[:2]].append(key)
        for key in draft.after.inline_policies:
            links.inline[key[:2]].append(key)
        for pair in draft.after.memberships:
            links.memberships[pair[0]].append(pair)
        return links

    def policy(self, reference: str, place: str) -> str | None:
        """The ARN of the policy that a name or an ARN names."""
        arn = self.policies.get(reference, reference)
        if arn in self.draft.after.managed_policies:
            return arn
        pruned = reference in self.policies_before
        self.draft.unresolved(place, reference, "policy", self.policies, pruned=pruned)
        return None

    def put_permissions(self, owner: Owner, declared: Permissions) -> None:
        """Makes what is attached to an identity be as declared; a part that is not declared stays."""
        kind, name = owner
        rows = self.draft.after
        if declared.policies is not None:
            for key in self.attachments[owner]:
                rows.attachments.pop(key)
            for index, reference in enumerate(declared.policies):
                arn = self.policy(reference, f"{declared.place}.policies[{index}]")
                if arn is not None:
                    attachment = Attachment(owner_kind=kind, owner_name=name, policy_arn=arn)
                    rows.attachments[kind, name, arn] = attachment
        if declared.inline is not None:
            for key in self.inline[owner]:
                rows.inline_policies.pop(key)
            for policy_name, document in declared.inline.items():
                key = (kind, name, policy_name)
                present = self.draft.before.rows.inline_policies.get(key)
                if present is None or not same_document(present.document, document):
                    present = InlinePolicy(
                        owner_kind=kind, owner_name=name, policy_name=policy_name, document=document
                    )
                rows.inline_policies[key] = present

    def boundary(self, declared: BoundedPermissions, present: str | None) -> str | None:
        """The permissions boundary: a bound that the file says nothing of is not loosened by it."""
        if declared.permissions_boundary is None:
            return None if self.draft.prune else present
        if declared.permissions_boundary == NO_BOUNDARY:
            return None
        return self.policy(declared.permissions_boundary, f"{declared.place}.permissions_boundary")


def _resolve_group(draft: Draft, links: _Links, declared: DeclaredGroup) -> None:
    draft.claim("groups", declared.name, declared.place)
    present = draft.before.rows.groups.get(declared.name)
    _same_id(draft, declared, present)
    if present is None:
        present = Group(
            name=declared.name,
            id=declared.id or derived_id(Kind.GROUP, draft.account, declared.name),
            path=declared.path or "/",
            created_at=draft.now,
        )
    draft.after.groups[declared.name] = replace(present, path=declared.path or present.path)
    links.put_permissions((OwnerKind.GROUP, declared.name), declared)


def _resolve_user(draft: Draft, links: _Links, declared: DeclaredUser) -> None:
    name, place = declared.name, declared.place
    draft.claim("users", name, place)
    present = draft.before.rows.users.get(name)
    _same_id(draft, declared, present)
    if present is None:
        present = User(
            name=name,
            id=declared.id or derived_id(Kind.USER, draft.account, name),
            path=declared.path or "/",
            created_at=draft.now,
        )
    draft.after.users[name] = replace(
        present,
        path=declared.path or present.path,
        permissions_boundary=links.boundary(declared, present.permissions_boundary),
        tags=declared.tags,
    )
    links.put_permissions((OwnerKind.USER, name), declared)
    if declared.groups is None:
        return
    for pair in links.memberships[name]:
        draft.after.memberships.pop(pair)
    for index, group in enumerate(declared.groups):
        if group in draft.after.groups:
            draft.after.memberships[name, group] = Membership(user_name=name, group_name=group)
        else:
            draft.unresolved(
                f"{place}.groups[{index}]",
                group,
                "group",
                draft.after.groups,
                pruned=group in draft.before.rows.groups,
            )


def _resolve_role(draft: Draft, links: _Links, declared: DeclaredRole) -> None:
    name, place = declared.name, declared.place
    draft.claim("roles", name, place)
    present = draft.before.rows.roles.get(name)
    if present is not None and present.linked_service is not None:
        draft.problems.add(place, f"is the role of the service {present.linked_service}: leave it out")
        return
    _same_id(draft, declared, present)
    if present is None:
        present = Role(
            name=name,
            id=declared.id or derived_id(Kind.ROLE, draft.account, name),
            path=declared.path or "/",
            created_at=draft.now,
            description=declared.description,
            trust_policy=declared.trust,
        )
    same_trust = same_document(present.trust_policy, declared.trust)
    draft.after.roles[name] = replace(
        present,
        path=declared.path or present.path,
        description=declared.description,
        trust_policy=present.trust_policy if same_trust else declared.trust,
        max_session_duration=declared.max_session_duration,
        permissions_boundary=links.boundary(declared, present.permissions_boundary),
        tags=declared.tags,
    )
    links.put_permissions((OwnerKind.ROLE, name), declared)


def _resolve_guardrails(draft: Draft, links: _Links, guardrails: tuple[str, ...] | None) -> None:
    if guardrails is None:
        return
    draft.after.guardrails = {}
    for index, reference in enumerate(guardrails):
        arn = links.policy(reference, f"guardrails[{index}]")
        if arn is not None:
            draft.after.guardrails[arn] = Guardrail(policy_arn=arn)
