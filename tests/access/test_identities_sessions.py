"""A session is of its role, user or root user, bound by the policies of that and by its own."""

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.access.people import ACCOUNT, ARNS, NOW, document, put_inline, put_managed, put_user

from hatchway.access.identities import StoredIdentities, resolve_caller
from hatchway.access.principal import Caller, Issuer, PrincipalType
from hatchway.access.sessions import new_temporary_key
from hatchway.domain.identity import Attachment, Guardrail, OwnerKind, Role
from hatchway.domain.session import Session, SessionKind
from hatchway.iam import Layer, Policy
from hatchway.store import Store, Transaction

ALLOW = document({"Effect": "Allow", "Action": "*", "Resource": "*"})
ROLE = Role(
    name="on-call",
    id="AROAONCALL",
    path="/ops/",
    created_at=NOW,
    description="",
    trust_policy="{}",
    max_session_duration=7200,
    tags={"team": "db", "site": "a"},
)


def put_session(tx: Transaction, **changes: Any) -> str:
    key = new_temporary_key(os.urandom)
    fields: dict[str, Any] = {
        "access_key_id": key.access_key_id,
        "kind": SessionKind.ROLE,
        "owner_name": "on-call",
        "owner_id": "AROAONCALL",
        "name": "alice",
        "token_hash": key.token_hash,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    tx.sessions.put(Session(**{**fields, **changes}))
    return key.access_key_id


def resolved(store: Store, key_id: str) -> Caller | None:
    with store.read() as tx:
        return resolve_caller(StoredIdentities(tx, ARNS), key_id)


def names(policies: Iterable[Policy]) -> list[str]:
    return [policy.name for policy in policies]


def test_a_role_s_session_is_the_role_s_by_the_session_s_name(store: Store) -> None:
    with store.write() as tx:
        tx.roles.put(ROLE)
        put_inline(tx, OwnerKind.ROLE, "on-call", "own", ALLOW)
        attached, bounds = put_managed(tx, "attached", ALLOW), put_managed(tx, "bounds", ALLOW)
        tx.attachments.put(Attachment(owner_kind=OwnerKind.ROLE, owner_name="on-call", policy_arn=attached))
        tx.roles.put(replace(ROLE, permissions_boundary=bounds))
        tx.guardrails.put(Guardrail(policy_arn=put_managed(tx, "guard", ALLOW)))
        key_id = put_session(tx, session_tags={"Team": "web"})

    caller = resolved(store, key_id)

    assert caller is not None
    principal = caller.principal
    assert principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/on-call/alice"
    assert (principal.type, principal.user_id) == (PrincipalType.ASSUMED_ROLE, "AROAONCALL:alice")
    assert (principal.user_name, principal.access_key_id, principal.account) == (None, key_id, ACCOUNT)
    assert principal.session is not None and principal.session.access_key_id == key_id
    assert principal.tags == {"Team": "web", "site": "a"}
    assert principal.issuer == Issuer(
        arn=ARNS.role("on-call", "/ops/"), id="AROAONCALL", name="on-call", max_session_duration=7200
    )
    policies = caller.policies
    assert names(policies.identity) == ["own", "attached"]
    assert policies.boundary is not None and policies.boundary.name == "bounds"
    assert names(policies.guardrails) == ["guard"]
    assert Layer.SESSION not in policies.layers


def test_session_policies_are_a_layer_of_their_own_and_one_that_is_gone_denies(store: Store) -> None:
    with store.write() as tx:
        tx.roles.put(ROLE)
        arn = put_managed(tx, "some", ALLOW)
        key_id = put_session(tx, policy=ALLOW, policy_arns=(arn, f"{arn}-gone"))
        attached_alone = put_session(tx, policy_arns=(arn,))

    for key, expected in (
        (key_id, ["session policy", "some", f"{arn}-gone (is not there)"]),
        (attached_alone, ["some"]),
    ):
        caller = resolved(store, key)
        assert caller is not None and caller.policies.session is not None
        assert names(caller.policies.session) == expected


def test_a_user_s_session_is_the_user(store: Store) -> None:
    with store.write() as tx:
        user = put_user(tx, "alice", tags={"team": "web"})
        put_inline(tx, OwnerKind.USER, "alice", "own", ALLOW)
        key_id = put_session(tx, kind=SessionKind.USER, owner_name="alice", owner_id=user.id, name=None)

    caller = resolved(store, key_id)

    assert caller is not None
    assert (caller.principal.type, caller.principal.user_name) == (PrincipalType.USER, "alice")
    assert caller.principal.access_key_id == key_id
    assert caller.principal.session is not None and caller.principal.issuer is None
    assert names(caller.policies.identity) == ["own"]


def test_the_root_user_s_session_is_the_root_user(store: Store) -> None:
    with store.write() as tx:
        key_id = put_session(tx, kind=SessionKind.ROOT, owner_name=None, owner_id=ACCOUNT, name=None)

    caller = resolved(store, key_id)

    assert caller is not None
    assert (caller.principal.type, caller.principal.access_key_id) == (PrincipalType.ROOT, key_id)
    assert caller.policies.is_root and caller.principal.session is not None


@pytest.mark.parametrize("kind", [SessionKind.ROLE, SessionKind.USER])
def test_of_whom_is_gone_or_made_anew_there_is_no_session(store: Store, kind: SessionKind) -> None:
    name = "on-call" if kind is SessionKind.ROLE else "alice"
    with store.write() as tx:
        key_id = put_session(tx, kind=kind, owner_name=name, owner_id="FORMER")
    assert resolved(store, key_id) is None
    with store.write() as tx:
        tx.roles.put(ROLE)
        put_user(tx, "alice")
    assert resolved(store, key_id) is None
