"""Secrets are kept sealed, and a key that is deleted leaves nothing."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hatchway.domain.identity import AccessKeyUse, KeyStatus, SealedSigningKey
from hatchway.keys.access_keys import (
    NewAccessKey,
    Resealed,
    count_opened,
    create_access_key,
    delete_access_key,
    opens_secrets,
    put_check,
    put_secret,
    replace_check,
    reseal,
    secret_of,
    set_status,
)
from hatchway.keys.vault import Unsealable, Vault
from hatchway.store import Store

NOW = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
KEY = bytes(range(32))
VAULT = Vault(KEY)


def create(store: Store, user_name: str | None = "alice") -> NewAccessKey:
    with store.write() as tx:
        return create_access_key(tx, VAULT, user_name=user_name, now=NOW, random_bytes=os.urandom)


def test_a_key_looks_as_every_aws_tool_expects_and_does_not_show_its_secret(store: Store) -> None:
    made = create(store)
    assert len(made.key.id) == 20
    assert made.key.id.startswith("AKIA")
    assert len(made.secret) == 40
    assert made.secret not in repr(made)


def test_the_secret_opens_with_the_master_key_and_stands_nowhere_in_the_database(
    store: Store, tmp_path: Path
) -> None:
    made = create(store)
    with store.read() as tx:
        assert secret_of(tx, VAULT, made.key.id) == made.secret
        with pytest.raises(Unsealable):
            secret_of(tx, Vault(bytes(32)), made.key.id)
    store.close()
    for path in tmp_path.iterdir():
        assert made.secret.encode() not in path.read_bytes()


def test_one_keys_sealed_secret_does_not_open_as_anothers(store: Store) -> None:
    first, second = create(store), create(store)
    with store.write() as tx:
        stolen = tx.sealed_secrets.get(first.key.id)
        assert stolen is not None
        tx.sealed_secrets.put(type(stolen)(access_key_id=second.key.id, ciphertext=stolen.ciphertext))
    with store.read() as tx, pytest.raises(Unsealable):
        secret_of(tx, VAULT, second.key.id)


def test_a_deleted_key_leaves_nothing(store: Store) -> None:
    made = create(store)
    with store.write() as tx:
        assert delete_access_key(tx, made.key.id)
        assert not delete_access_key(tx, made.key.id)
    with store.read() as tx:
        assert secret_of(tx, VAULT, made.key.id) is None


def test_with_a_key_goes_what_was_derived_from_it_and_its_last_use_and_of_no_other_key(store: Store) -> None:
    deleted, kept = create(store).key.id, create(store).key.id
    with store.write() as tx:
        for key_id in (deleted, kept):
            tx.access_key_uses.put(
                AccessKeyUse(access_key_id=key_id, used_at=NOW, service="ec2", region="us-east-1")
            )
            tx.sealed_signing_keys.put(
                SealedSigningKey(
                    access_key_id=key_id,
                    date="20261124",
                    region="us-east-1",
                    service="ec2",
                    sealed=b"sealed",
                    sealed_under="gateway key",
                )
            )
        assert delete_access_key(tx, deleted)
    with store.read() as tx:
        assert [row.access_key_id for row in tx.access_key_uses.find()] == [kept]
        assert [row.access_key_id for row in tx.sealed_signing_keys.find()] == [kept]
        assert secret_of(tx, VAULT, kept)


def test_a_key_is_active_until_it_is_made_inactive(store: Store) -> None:
    key = create(store).key
    assert key.status is KeyStatus.ACTIVE
    with store.write() as tx:
        set_status(tx, key, KeyStatus.INACTIVE)
    with store.read() as tx:
        stored = tx.access_keys.get(key.id)
    assert stored is not None
    assert (stored.status, stored.user_name, stored.created_at) == (KeyStatus.INACTIVE, "alice", NOW)


def test_any_master_key_fits_a_store_without_secrets(store: Store) -> None:
    with store.read() as tx:
        assert opens_secrets(tx, VAULT)
        assert opens_secrets(tx, Vault(bytes(32)))


def test_only_the_master_key_that_made_the_check_fits_whatever_others_have_sealed(store: Store) -> None:
    other = Vault(bytes(32))
    with store.write() as tx:
        put_check(tx, VAULT, os.urandom)
        put_secret(tx, other, "AKIAOTHER", "x" * 40)
    with store.read() as tx:
        assert opens_secrets(tx, VAULT)
        assert not opens_secrets(tx, other)
    with store.write() as tx:
        # It is made once, and rotated with the secrets.
        put_check(tx, other, os.urandom)
        assert not opens_secrets(tx, other)
        reseal(tx, Vault(bytes(range(1, 33)), KEY), after="", most=10)
        assert opens_secrets(tx, Vault(bytes(range(1, 33))))
        assert not opens_secrets(tx, VAULT)


def test_the_check_of_the_master_key_is_as_long_as_a_secret(store: Store) -> None:
    with store.write() as tx:
        put_check(tx, VAULT, os.urandom)
        (check,) = tx.sealed_secrets.find()
        secret = secret_of(tx, VAULT, check.access_key_id)
        assert secret is not None and len(secret) == 40


def test_a_master_key_fits_that_opens_some_secret_though_another_was_altered(store: Store) -> None:
    create(store)
    altered = create(store).key.id
    with store.write() as tx:
        row = tx.sealed_secrets.get(altered)
        assert row is not None
        tx.sealed_secrets.put(replace(row, ciphertext=b"altered"))
    with store.read() as tx:
        assert opens_secrets(tx, VAULT)
        assert not opens_secrets(tx, Vault(bytes(32)))


def test_secrets_are_sealed_anew_in_portions_and_those_that_no_key_opens_are_left(store: Store) -> None:
    made = [create(store) for _ in range(5)]
    new = bytes(range(1, 33))
    both, newer = Vault(new, bytes(range(32))), Vault(new)
    with store.write() as tx:
        altered = tx.sealed_secrets.find()[1]
        damaged = altered.ciphertext[:-1] + bytes([altered.ciphertext[-1] ^ 1])
        tx.sealed_secrets.put(replace(altered, ciphertext=damaged))
    portions: list[Resealed] = []
    after = ""
    while not portions or portions[-1].last is not None:
        with store.write() as tx:
            portions.append(reseal(tx, both, after=after, most=2))
        after = portions[-1].last or ""
    assert [(portion.anew, portion.unopened) for portion in portions] == [(1, 1), (2, 0), (1, 0)]
    with store.read() as tx:
        for each in made:
            if each.key.id != altered.access_key_id:
                assert secret_of(tx, newer, each.key.id) == each.secret
        kept = tx.sealed_secrets.get(altered.access_key_id)
        assert kept is not None
        assert kept.ciphertext == damaged
    with store.write() as tx:
        assert reseal(tx, both, after="", most=100).anew == 0


def test_what_is_current_or_opens_no_more_keeps_none_behind_it_from_being_sealed_anew(store: Store) -> None:
    for _ in range(4):
        create(store)
    both = Vault(bytes(range(1, 33)), bytes(range(32)))
    with store.write() as tx:
        altered, current, old, too = tx.sealed_secrets.find()
        tx.sealed_secrets.put(*(replace(each, ciphertext=b"altered") for each in (altered, too)))
        assert reseal(tx, both, after=altered.access_key_id, most=1) == Resealed(1, 0, current.access_key_id)
        assert reseal(tx, both, after="", most=4) == Resealed(1, 2, too.access_key_id)
        assert secret_of(tx, Vault(bytes(range(1, 33))), old.access_key_id)


def test_an_altered_check_is_told_by_what_the_key_opens_besides_and_replaced(store: Store) -> None:
    with store.write() as tx:
        put_check(tx, Vault(bytes(32)), os.urandom)
        assert count_opened(tx, VAULT) == (0, 0)
        put_secret(tx, VAULT, "AKIAONE", "x" * 40)
        put_secret(tx, Vault(bytes(32)), "AKIATWO", "x" * 40)
        assert not opens_secrets(tx, VAULT)
        assert count_opened(tx, VAULT) == (1, 2)
        replace_check(tx, VAULT, os.urandom)
        assert opens_secrets(tx, VAULT)
        assert count_opened(tx, VAULT) == (1, 2)
