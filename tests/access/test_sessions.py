"""Temporary credentials are made fresh, kept without their token, and gone without a trace."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.access.people import NOW

from hatchway.access.sessions import (
    delete_session,
    end_sessions,
    new_temporary_key,
    put_session,
    token_fits,
    token_hash,
)
from hatchway.domain.identity import SealedSigningKey
from hatchway.domain.session import Session, SessionKind
from hatchway.keys.access_keys import secret_of
from hatchway.keys.vault import Vault
from hatchway.store import Store

VAULT = Vault(bytes(range(32)))


def session(access_key_id: str, hashed: bytes) -> Session:
    return Session(
        access_key_id=access_key_id,
        kind=SessionKind.USER,
        owner_name="alice",
        owner_id="AIDAALICE",
        name=None,
        token_hash=hashed,
        issued_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        session_tags={"team": "web"},
        transitive_tag_keys=("team",),
        policy_arns=("arn:aws:iam::123456789012:policy/p",),
    )


def test_each_has_a_key_id_a_secret_and_a_token_of_its_own_and_shows_neither() -> None:
    one, other = new_temporary_key(os.urandom), new_temporary_key(os.urandom)
    assert one.access_key_id.startswith("ASIA") and len(one.access_key_id) == 20
    assert len(one.secret) == 40 and len(one.token) == 128
    assert {one.access_key_id, one.secret, one.token}.isdisjoint(
        {other.access_key_id, other.secret, other.token}
    )
    assert one.secret not in repr(one) and one.token not in repr(one)


@pytest.mark.parametrize(("size", "made"), [(0, 128), (128, 128), (129, 132), (4096, 4096)])
def test_a_token_has_at_least_the_characters_that_are_asked_for(size: int, made: int) -> None:
    assert len(new_temporary_key(os.urandom, token_size=size).token) == made


def test_a_session_is_kept_whole_but_for_its_token_and_goes_with_all_that_signs(
    store: Store, tmp_path: Path
) -> None:
    key = new_temporary_key(os.urandom)
    row = session(key.access_key_id, key.token_hash)
    signing_key = SealedSigningKey(
        access_key_id=key.access_key_id, date="20261124", region="r", service="s", sealed=b"", sealed_under=""
    )
    with store.write() as tx:
        put_session(tx, VAULT, row, key.secret)
        tx.sealed_signing_keys.put(signing_key, replace(signing_key, access_key_id="AKIA1"))
    with store.read() as tx:
        assert tx.sessions.get(key.access_key_id) == row
        assert secret_of(tx, VAULT, key.access_key_id) == key.secret
    with store.write() as tx:
        assert delete_session(tx, key.access_key_id)
        assert not delete_session(tx, key.access_key_id)
        assert secret_of(tx, VAULT, key.access_key_id) is None
        assert [kept.access_key_id for kept in tx.sealed_signing_keys.find()] == ["AKIA1"]
    store.close()
    for path in tmp_path.iterdir():
        assert key.token.encode() not in path.read_bytes()
        assert key.secret.encode() not in path.read_bytes()


def test_a_token_fits_its_own_session_alone_and_long_term_keys_have_none() -> None:
    mine = session("ASIA1", token_hash("mine"))
    assert token_fits(mine, "mine")
    for wrong in ("yours", "", None, "mine ", "\ud800"):
        assert not token_fits(mine, wrong)
    assert token_fits(None, None)
    for needless in ("", "mine"):
        assert not token_fits(None, needless)


def test_a_session_whose_hash_was_emptied_is_nobody_s() -> None:
    assert not token_fits(session("ASIA1", b""), None)
    assert not token_fits(session("ASIA1", b""), "")


def test_the_sessions_of_a_user_end_with_all_that_signs_and_those_of_a_role_of_the_name_do_not(
    store: Store,
) -> None:
    alice, namesake, bob = (new_temporary_key(os.urandom) for _ in range(3))
    with store.write() as tx:
        for key, change in (
            (alice, {}),
            (namesake, {"kind": SessionKind.ROLE}),
            (bob, {"owner_name": "bob"}),
        ):
            made: Session = replace(session(key.access_key_id, key.token_hash), **change)
            put_session(tx, VAULT, made, key.secret)
            tx.sealed_signing_keys.put(
                SealedSigningKey(
                    access_key_id=key.access_key_id,
                    date="20261129",
                    region="us-east-1",
                    service="ec2-instance-connect",
                    sealed=b"",
                    sealed_under="",
                )
            )
        end_sessions(tx, SessionKind.USER, ["nobody", "alice"])
        left = {namesake.access_key_id, bob.access_key_id}
        assert {each.access_key_id for each in tx.sessions.find()} == left
        assert {each.access_key_id for each in tx.sealed_signing_keys.find()} == left
        assert {each.access_key_id for each in tx.sealed_secrets.find()} == left


def test_of_an_owner_without_sessions_nothing_is_searched_for_though_a_namesake_and_others_have_some(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    role, bob = (new_temporary_key(os.urandom) for _ in range(2))
    with store.write() as tx:
        made = session(role.access_key_id, role.token_hash)
        put_session(tx, VAULT, replace(made, kind=SessionKind.ROLE), role.secret)
        made = session(bob.access_key_id, bob.token_hash)
        put_session(tx, VAULT, replace(made, owner_name="bob"), bob.secret)
        for table in (tx.sealed_secrets, tx.sealed_signing_keys, tx.sessions):
            monkeypatch.setattr(table, "delete_where", None)
        end_sessions(tx, SessionKind.USER, ["alice"])
        assert len(tx.sessions.find()) == 2
