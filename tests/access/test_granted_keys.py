"""Whoever is newly allowed tunnels can be verified by gateways when that is committed."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.store.migrated import empty_store

from hatchway.access import granted_keys
from hatchway.access.granted_keys import derive_granted
from hatchway.access.open_tunnel import ACTION
from hatchway.access.signing_keys import SigningKeyOpener, gateway_dates
from hatchway.domain.account import AccountAlias
from hatchway.domain.identity import (
    Attachment,
    Guardrail,
    InlinePolicy,
    KeyStatus,
    ManagedPolicy,
    Membership,
    OwnerKind,
    PolicyVersion,
    User,
)
from hatchway.domain.network import Vpc
from hatchway.keys.access_keys import create_access_key, set_status
from hatchway.keys.vault import Vault
from hatchway.sigv4.keys import derive_signing_key
from hatchway.store import Store, Transaction

NOW = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
REGION = "eu-central-1"
MASTER, GATEWAY = Vault(bytes(range(32))), Vault(bytes(range(1, 33)))
POLICY = "arn:aws:iam::123456789012:policy/tunnels"
TUNNELS = f'{{"Statement": {{"Effect": "Allow", "Action": "{ACTION}", "Resource": "*"}}}}'
DATES = set(gateway_dates(NOW))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path / "hatchway.db")
    yield opened
    opened.close()


def derive(tx: Transaction, gateway: Vault = GATEWAY) -> None:
    derive_granted(tx, MASTER, gateway, now=NOW, region=REGION)


def put_user(tx: Transaction, name: str = "alice", boundary: str | None = None) -> None:
    user = User(name=name, id=f"AIDA{name}", path="/", created_at=NOW, permissions_boundary=boundary)
    tx.users.put(user)


def put_inline(tx: Transaction, kind: OwnerKind = OwnerKind.USER, name: str = "alice") -> None:
    tx.inline_policies.put(
        InlinePolicy(owner_kind=kind, owner_name=name, policy_name="given", document=TUNNELS)
    )


def put_managed(tx: Transaction) -> None:
    tx.managed_policies.put(
        ManagedPolicy(
            arn=POLICY, name="tunnels", id="ANPATUNNELS", path="/", description="", created_at=NOW,
            updated_at=NOW, default_version="v1",
        )
    )  # fmt: skip
    tx.policy_versions.put(
        PolicyVersion(policy_arn=POLICY, version_id="v1", document=TUNNELS, created_at=NOW)
    )


def put_key(tx: Transaction, name: str = "alice") -> tuple[str, str]:
    """The id and the secret of a new key."""
    made = create_access_key(tx, MASTER, user_name=name, now=NOW, random_bytes=os.urandom)
    return made.key.id, made.secret


def dates(store: Store, key_id: str) -> set[str]:
    """Of which gateways can verify a key."""
    with store.read() as tx:
        return {row.date for row in tx.sealed_signing_keys.find(access_key_id=key_id)}


def test_a_new_key_opens_to_what_its_secret_makes(store: Store) -> None:
    with store.write() as tx:
        put_user(tx)
        put_inline(tx)
    with store.write() as tx:
        key_id, secret = put_key(tx)
        derive(tx)
    assert dates(store, key_id) == DATES
    with store.read() as tx:
        rows = tx.sealed_signing_keys.find()
    for row in rows:
        expected = derive_signing_key(secret, row.date, REGION, "ec2-instance-connect")
        assert SigningKeyOpener(GATEWAY).open(row) == expected


def attach(tx: Transaction) -> None:
    put_managed(tx)
    tx.attachments.put(Attachment(owner_kind=OwnerKind.USER, owner_name="alice", policy_arn=POLICY))


def join(tx: Transaction) -> None:
    put_inline(tx, OwnerKind.GROUP, "ops")
    tx.memberships.put(Membership(user_name="alice", group_name="ops"))


GRANTS: dict[str, Callable[[Transaction], object]] = {
    "a policy of his own": put_inline,
    "one that is attached": attach,
    "a group": join,
}


@pytest.mark.parametrize("grant", GRANTS)
def test_whoever_has_a_key_and_is_allowed_tunnels_can_be_verified_at_once(store: Store, grant: str) -> None:
    with store.write() as tx:
        put_user(tx)
        key_id, _ = put_key(tx)
        derive(tx)
    assert dates(store, key_id) == set()
    with store.write() as tx:
        GRANTS[grant](tx)
        derive(tx)
    assert dates(store, key_id) == DATES


def test_an_inactive_key_that_is_active_again_can_be_verified_at_once_and_an_inactive_one_gets_none(
    store: Store,
) -> None:
    with store.write() as tx:
        put_user(tx)
        put_inline(tx)
        key_id, _ = put_key(tx)
    for status, found in ((KeyStatus.INACTIVE, set()), (KeyStatus.ACTIVE, DATES)):
        with store.write() as tx:
            key = tx.access_keys.get(key_id)
            assert key is not None
            set_status(tx, key, status)
            derive(tx)
        assert dates(store, key_id) == found


def test_whose_boundary_goes_can_be_verified_at_once(store: Store) -> None:
    with store.write() as tx:
        put_user(tx, boundary=POLICY)
        put_inline(tx)
        key_id, _ = put_key(tx)
        derive(tx)
    assert dates(store, key_id) == set()
    with store.write() as tx:
        put_user(tx)
        derive(tx)
    assert dates(store, key_id) == DATES


@pytest.mark.parametrize(
    "change",
    [
        lambda tx: None,
        lambda tx: tx.vpcs.put(Vpc(id="vpc-1", name="office", cidrs=("10.0.0.0/16",))),
        lambda tx: tx.account_aliases.put(AccountAlias(alias="acme")),
        # What may alter everybody's is looked at while others may write.
        lambda tx: tx.guardrails.put(Guardrail(policy_arn=POLICY)),
    ],
)
def test_what_is_nobody_s_or_everybody_s_has_nothing_derived(
    store: Store, change: Callable[[Transaction], object]
) -> None:
    with store.write() as tx:
        put_managed(tx)
        put_user(tx)
        put_inline(tx)
        key_id, _ = put_key(tx)
    with store.write() as tx:
        change(tx)
        derive(tx)
    assert dates(store, key_id) == set()


def test_those_whom_a_transaction_before_has_altered_are_left_to_that(store: Store) -> None:
    with store.write() as tx:
        put_user(tx)
        put_inline(tx)
        key_id, _ = put_key(tx)
    with store.write() as tx:
        put_user(tx, "bob")
        derive(tx)
    assert dates(store, key_id) == set()


@pytest.mark.parametrize(("most", "found"), [(1, set()), (2, DATES)])
def test_the_keys_of_many_are_left_to_who_keeps_nobody_from_writing(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int, found: set[str]
) -> None:
    monkeypatch.setattr(granted_keys, "MOST", most)
    with store.write() as tx:
        keys = []
        for name in ("alice", "bob"):
            put_user(tx, name)
            put_inline(tx, name=name)
            keys.append(put_key(tx, name)[0])
        derive(tx)
    assert [dates(store, key_id) for key_id in keys] == [found, found]


def test_what_is_there_stays_as_it_was_but_for_what_another_gateway_key_has_sealed(store: Store) -> None:
    with store.write() as tx:
        put_user(tx)
        put_inline(tx)
        put_key(tx)
        derive(tx)
        before = tx.sealed_signing_keys.find()
    with store.write() as tx:
        put_inline(tx)
        derive(tx)
        assert tx.sealed_signing_keys.find() == before
        derive(tx, Vault(bytes(32)))
        assert {row.sealed_under for row in tx.sealed_signing_keys.find()} == {Vault(bytes(32)).key_id}


def test_a_secret_that_is_gone_or_does_not_open_keeps_nobody_from_changing_the_account(store: Store) -> None:
    with store.write() as tx:
        put_user(tx)
        put_inline(tx)
        # In the order in which they are derived: those after the altered one are, too.
        gone, altered, good = sorted(put_key(tx)[0] for _ in range(3))
        tx.sealed_secrets.delete(gone)
        (secret,) = tx.sealed_secrets.find(access_key_id=good)
        tx.sealed_secrets.put(type(secret)(access_key_id=altered, ciphertext=secret.ciphertext))
        derive(tx)
    assert [dates(store, key_id) for key_id in (gone, altered, good)] == [set(), set(), DATES]
