"""Whose permissions a change may have altered, by what has changed."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.store.migrated import empty_store

from hatchway.access import touched_keys as module
from hatchway.access.touched_keys import touched_keys
from hatchway.domain.identity import (
    AccessKey,
    Attachment,
    Guardrail,
    InlinePolicy,
    KeyStatus,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    Role,
    SealedSigningKey,
    User,
)
from hatchway.domain.network import Vpc
from hatchway.domain.session import Session, SessionKind
from hatchway.store import Store, Transaction, tables

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ATTACHED, BOUNDARY, OF_SESSION, GUARDRAIL = (
    f"arn:aws:iam::123456789012:policy/{name}" for name in ("attached", "boundary", "session", "guardrail")
)


def user(name: str, boundary: str | None = None) -> User:
    return User(name=name, id=f"AIDA{name}", path="/", created_at=NOW, permissions_boundary=boundary)


def key(name: str, status: KeyStatus = KeyStatus.ACTIVE) -> AccessKey:
    return AccessKey(id=f"AKIA-{name}", user_name=name, status=status, created_at=NOW)


def role(boundary: str | None = None) -> Role:
    return Role(
        name="on-call", id="AROA", path="/", created_at=NOW, description="", trust_policy="{}",
        permissions_boundary=boundary,
    )  # fmt: skip


def session(
    key_id: str, kind: SessionKind, owner: str, hours: int = 1, arns: tuple[str, ...] = ()
) -> Session:
    return Session(
        access_key_id=key_id, kind=kind, owner_name=owner, owner_id="", name="s", token_hash=b"",
        issued_at=NOW, expires_at=NOW + timedelta(hours=hours), policy_arns=arns,
    )  # fmt: skip


def version(arn: str) -> PolicyVersion:
    return PolicyVersion(policy_arn=arn, version_id="v2", document="{}", created_at=NOW)


def sealed(key_id: str) -> SealedSigningKey:
    return SealedSigningKey(
        access_key_id=key_id, date="20261124", region="r", service="s", sealed=b"", sealed_under=""
    )


def inline(kind: OwnerKind, name: str) -> InlinePolicy:
    return InlinePolicy(owner_kind=kind, owner_name=name, policy_name="p", document="{}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """alice has her own policies, bob those of his group, carol and the role a boundary."""
    opened = empty_store(Path(tmp_path_factory.mktemp("store"), "hatchway.db"))
    furnish(opened)
    yield opened
    opened.close()


def furnish(store: Store) -> None:
    with store.write() as tx:
        tx.users.put(user("alice"), user("bob"), user("carol", BOUNDARY))
        tx.users.put_all(user(f"many-{number}") for number in range(501))
        tx.inline_policies.put(inline(OwnerKind.USER, "alice"))
        tx.access_keys.put(key("alice"), key("bob"), key("carol"))
        tx.roles.put(role(BOUNDARY))
        tx.memberships.put(
            Membership(user_name="bob", group_name="ops"), Membership(user_name="carol", group_name="hr")
        )
        tx.sealed_signing_keys.put(sealed("AKIA-carol"))
        tx.attachments.put(
            Attachment(owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=ATTACHED),
            Attachment(owner_kind=OwnerKind.GROUP, owner_name="ops", policy_arn=ATTACHED),
        )
        tx.guardrails.put(Guardrail(policy_arn=GUARDRAIL))
        tx.sessions.put(
            session("ASIA-role", SessionKind.ROLE, "on-call"),
            session("ASIA-alice", SessionKind.USER, "alice"),
            # A role may be called like a user.
            session("ASIA-namesake", SessionKind.ROLE, "alice", arns=(OF_SESSION,)),
            session("ASIA-expired", SessionKind.ROLE, "on-call", hours=0),
        )


ALICE, BOB, CAROL, ROLE = {"AKIA-alice", "ASIA-alice"}, {"AKIA-bob"}, {"AKIA-carol"}, {"ASIA-role"}


def user_and_policy(tx: Transaction) -> None:
    tx.users.put(user("carol"))
    tx.policy_versions.put(version(ATTACHED))


def versions_and_keys(tx: Transaction) -> None:
    tx.policy_versions.put_all(version(f"arn:{number}") for number in range(251))
    tx.access_keys.put_all(key(f"many-{number}") for number in range(251))


CHANGES: dict[str, tuple[Callable[[Transaction], object], set[str] | None]] = {
    "a VPC": (lambda tx: tx.vpcs.put(Vpc(id="vpc-1", name="v", cidrs=("10.0.0.0/16",))), set()),
    "a user": (lambda tx: tx.users.put(user("alice")), ALICE),
    "a user without keys": (lambda tx: tx.users.put(user("dave")), set()),
    "a user that went": (lambda tx: tx.users.delete("carol"), CAROL),
    "a role": (lambda tx: tx.roles.put(role(BOUNDARY)), ROLE),
    "an inline policy": (lambda tx: tx.inline_policies.put(inline(OwnerKind.USER, "alice")), ALICE),
    "a group's inline policy": (lambda tx: tx.inline_policies.put(inline(OwnerKind.GROUP, "ops")), BOB),
    "an inline policy that went": (lambda tx: tx.inline_policies.delete_where(owner_name="alice"), ALICE),
    "an attachment": (
        lambda tx: tx.attachments.put(
            Attachment(owner_kind=OwnerKind.USER, owner_name="bob", policy_arn=BOUNDARY)
        ),
        BOB,
    ),
    "a user and a version of others' policy": (user_and_policy, ALICE | BOB | CAROL),
    "so many of several kinds": (versions_and_keys, None),
    "a membership": (lambda tx: tx.memberships.put(Membership(user_name="carol", group_name="x")), CAROL),
    "a membership that went": (lambda tx: tx.memberships.delete("bob", "ops"), BOB),
    "a version of an attached policy": (lambda tx: tx.policy_versions.put(version(ATTACHED)), ALICE | BOB),
    "that of a boundary": (lambda tx: tx.policy_versions.put(version(BOUNDARY)), CAROL | ROLE),
    "that of a session policy": (lambda tx: tx.policy_versions.put(version(OF_SESSION)), {"ASIA-namesake"}),
    "that of nobody's policy": (lambda tx: tx.policy_versions.put(version("arn:nobody")), set()),
    "that of a guardrail": (lambda tx: tx.policy_versions.put(version(GUARDRAIL)), None),
    "a managed policy": (
        lambda tx: tx.managed_policies.put(
            ManagedPolicy(
                arn=OF_SESSION, name="s", id="ANPA", path="/", description="", created_at=NOW,
                updated_at=NOW, default_version="v2",
            )
        ),
        {"ASIA-namesake"},
    ),
    "a guardrail": (lambda tx: tx.guardrails.put(Guardrail(policy_arn=ATTACHED)), None),
    "a guardrail that went": (lambda tx: tx.guardrails.delete(GUARDRAIL), None),
    "a key": (lambda tx: tx.access_keys.put(key("bob", KeyStatus.INACTIVE)), BOB),
    "a key that went": (lambda tx: tx.access_keys.delete("AKIA-bob"), BOB),
    "a session": (lambda tx: tx.sessions.put(session("ASIA-new", SessionKind.USER, "bob")), set()),
    "a session that went": (lambda tx: tx.sessions.delete("ASIA-alice"), set()),
    "signing keys of an expired session": (
        lambda tx: tx.sealed_signing_keys.put(sealed("ASIA-expired")),
        {"ASIA-expired"},
    ),
    "a membership of so many that all may be": (
        lambda tx: tx.memberships.put_all(Membership(user_name=f"u{n}", group_name="x") for n in range(501)),
        None,
    ),
    "so many that went": (lambda tx: tx.users.delete_where(tables.users.c.name.like("many-%")), None),
}  # fmt: skip


class Undone(Exception):
    """Ends a transaction that is to leave nothing behind."""


def touched_by(store: Store, change: Callable[[Transaction], object]) -> frozenset[str] | None:
    """What a change touches, which is undone again."""
    found: list[frozenset[str] | None] = []
    with suppress(Undone), store.write() as tx:
        since = tx.position()
        change(tx)
        found.append(touched_keys(tx, since, NOW))
        raise Undone
    return found[0]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_touches_the_keys_of_those_whose_permissions_follow_from_it(
    store: Store, change: str
) -> None:
    work, expected = CHANGES[change]
    assert touched_by(store, work) == (None if expected is None else frozenset(expected))


def test_whoever_has_fallen_too_far_behind_looks_at_all(store: Store) -> None:
    def fall_behind(tx: Transaction) -> None:
        tx.policy_versions.put(version(ATTACHED))
        tx.forget_deletions(tx.revision())

    assert touched_by(store, fall_behind) is None


@pytest.mark.parametrize("most", [1, 2])
def test_many_keys_or_owners_are_all(store: Store, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(module, "_MOST", most)
    assert touched_by(store, lambda tx: tx.policy_versions.put(version(ATTACHED))) is None
