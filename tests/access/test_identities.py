"""Who holds a key, and every policy that bears on it, from the rows of a transaction."""

from dataclasses import replace

import pytest
from tests.access.people import ACCOUNT, ARNS, NOW, document, put_inline, put_managed, put_user

from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.access.principal import Caller, PrincipalType
from hatchway.domain.identity import (
    AccessKey,
    Attachment,
    Guardrail,
    KeyStatus,
    Membership,
    OwnerKind,
)
from hatchway.store import Store, Transaction

ALLOW = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
KEY = AccessKey(id="AKIA1", user_name="alice", status=KeyStatus.ACTIVE, created_at=NOW)


def resolved(store: Store, key_id: str = "AKIA1") -> Caller | None:
    with store.read() as tx:
        return resolve_caller(StoredIdentities(tx, ARNS), key_id)


def test_a_users_key_is_the_users(store: Store) -> None:
    with store.write() as tx:
        put_user(tx, "alice", tags={"team": "web"})
        tx.access_keys.put(KEY)

    caller = resolved(store)

    assert caller is not None
    principal = caller.principal
    assert principal.arn == f"arn:aws:iam::{ACCOUNT}:user/eng/alice"
    assert (principal.type, principal.user_id, principal.user_name) == (
        PrincipalType.USER,
        "AIDAALICE",
        "alice",
    )
    assert (principal.account, principal.access_key_id) == (ACCOUNT, "AKIA1")
    assert principal.tags == {"team": "web"}


def test_a_key_of_nobody_is_the_root_users_who_is_bound_by_guardrails_alone(store: Store) -> None:
    with store.write() as tx:
        tx.access_keys.put(replace(KEY, user_name=None))
        tx.guardrails.put(Guardrail(policy_arn=put_managed(tx, "bounds", ALLOW)))

    caller = resolved(store)

    assert caller is not None
    assert (caller.principal.arn, caller.principal.type) == (ARNS.root, PrincipalType.ROOT)
    assert (caller.principal.user_id, caller.principal.user_name) == (ACCOUNT, None)
    assert (caller.principal.account, caller.principal.access_key_id) == (ACCOUNT, "AKIA1")
    assert caller.policies.is_root
    assert [policy.name for policy in caller.policies.guardrails] == ["bounds"]


@pytest.mark.parametrize("case", ["no such key", "an inactive key", "a key whose user is gone"])
def test_nobody_is_whoever_has(store: Store, case: str) -> None:
    with store.write() as tx:
        if case != "a key whose user is gone":
            put_user(tx, "alice")
        if case != "no such key":
            inactive = case == "an inactive key"
            tx.access_keys.put(replace(KEY, status=KeyStatus.INACTIVE if inactive else KeyStatus.ACTIVE))

    assert resolved(store) is None


def test_a_users_policies_are_its_own_and_its_groups_its_boundary_and_the_guardrails(store: Store) -> None:
    with store.write() as tx:
        put_user(tx, "alice", permissions_boundary=put_managed(tx, "boundary", ALLOW))
        tx.access_keys.put(KEY)
        tx.memberships.put(Membership(user_name="alice", group_name="ops"))
        tx.memberships.put(Membership(user_name="bob", group_name="admins"))
        put_inline(tx, OwnerKind.USER, "alice", "own", ALLOW)
        put_inline(tx, OwnerKind.GROUP, "ops", "of-the-group", ALLOW)
        put_inline(tx, OwnerKind.GROUP, "admins", "of-another-group", ALLOW)
        put_inline(tx, OwnerKind.ROLE, "alice", "of-a-role", ALLOW)
        attach(tx, OwnerKind.USER, "alice", put_managed(tx, "attached", ALLOW))
        attach(tx, OwnerKind.GROUP, "ops", put_managed(tx, "attached-to-the-group", ALLOW))
        attach(tx, OwnerKind.USER, "bob", put_managed(tx, "attached-to-bob", ALLOW))
        attach(tx, OwnerKind.ROLE, "alice", put_managed(tx, "attached-to-a-role", ALLOW))
        tx.guardrails.put(Guardrail(policy_arn=put_managed(tx, "guardrail", ALLOW)))

    caller = resolved(store)

    assert caller is not None
    policies = caller.policies
    assert [policy.name for policy in policies.identity] == [
        "own",
        "attached",
        "of-the-group",
        "attached-to-the-group",
    ]
    assert policies.boundary is not None and policies.boundary.name == "boundary"
    assert [policy.name for policy in policies.guardrails] == ["guardrail"]
    assert policies.identity[1].document == ALLOW, "the version in force"


def test_in_place_of_a_policy_that_is_gone_there_is_one_that_denies(store: Store) -> None:
    gone = ARNS.managed_policy("gone")
    with store.write() as tx:
        put_user(tx, "alice", permissions_boundary=gone)
        tx.access_keys.put(KEY)
        attach(tx, OwnerKind.USER, "alice", gone)
        tx.guardrails.put(Guardrail(policy_arn=gone))

    caller = resolved(store)

    assert caller is not None
    policies = caller.policies
    assert policies.boundary is not None
    for policy in (*policies.identity, policies.boundary, *policies.guardrails):
        assert policy.name == f"{gone} (is not there)"


def test_a_policy_whose_version_in_force_is_gone_is_gone(store: Store) -> None:
    with store.write() as tx:
        arn = put_managed(tx, "given", ALLOW)
        tx.policy_versions.delete(arn, "v2")
        assert StoredIdentities(tx, ARNS).managed_policy(arn) is None


def attach(tx: Transaction, kind: OwnerKind, name: str, arn: str) -> None:
    tx.attachments.put(Attachment(owner_kind=kind, owner_name=name, policy_arn=arn))
