"""Temporary credentials are a key, its secret, and its token: all three, and in time."""

import os
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.access.people import ARNS, NOW, put_user

from hatchway.access.authentication import StoredDirectory, authenticate, examine
from hatchway.access.callers import Callers
from hatchway.access.principal import Caller
from hatchway.access.sessions import TemporaryKey, new_temporary_key, put_session
from hatchway.domain.session import Session, SessionKind
from hatchway.keys.vault import Vault
from hatchway.sigv4.errors import ExpiredToken, SignatureDoesNotMatch, UnknownAccessKey
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_header_signature
from hatchway.sigv4.signing import sign_headers
from hatchway.store import Store

VAULT = Vault(bytes(range(32)))
LASTS = timedelta(hours=1)


@pytest.fixture
def key(store: Store) -> TemporaryKey:
    made = new_temporary_key(os.urandom)
    with store.write() as tx:
        user = put_user(tx, "alice")
        session = Session(
            access_key_id=made.access_key_id,
            kind=SessionKind.USER,
            owner_name=user.name,
            owner_id=user.id,
            name=None,
            token_hash=made.token_hash,
            issued_at=NOW,
            expires_at=NOW + LASTS,
        )
        put_session(tx, VAULT, session, made.secret)
    return made


def signed(key: TemporaryKey, now: datetime, token: str | None, *, states_hash: bool = False) -> HttpRequest:
    stated = (("X-Amz-Content-Sha256", "0" * 64),) if states_hash else ()
    unsigned = HttpRequest("POST", "/", "", (("Host", "api.example"), *stated), b"Action=ListUsers")
    added = sign_headers(
        unsigned,
        access_key_id=key.access_key_id,
        secret_access_key=key.secret,
        session_token=token,
        region=ARNS.region,
        service="iam",
        now=now,
    )
    return replace(unsigned, headers=(*unsigned.headers, *added))


def call(store: Store, key: TemporaryKey, *, now: datetime = NOW, token: str | None = None) -> Caller:
    request = signed(key, now, token)
    with store.read() as tx:
        return authenticate(
            request,
            read_header_signature(request),
            directory=StoredDirectory(tx, VAULT, ARNS, Callers()),
            now=now,
            region=ARNS.region,
            services={"iam"},
        )


def look(store: Store, key: TemporaryKey, *, now: datetime = NOW, token: str | None = None) -> bool:
    request = replace(signed(key, now, token), body=b"")
    with store.read() as tx:
        return examine(
            request,
            read_header_signature(request),
            directory=StoredDirectory(tx, VAULT, ARNS, Callers()),
            now=now,
            region=ARNS.region,
            services={"iam"},
        )


def test_the_whole_of_them_is_the_caller_s(store: Store, key: TemporaryKey) -> None:
    principal = call(store, key, token=key.token).principal
    assert (principal.user_name, principal.access_key_id) == ("alice", key.access_key_id)
    assert not look(store, key, token=key.token)


@pytest.mark.parametrize("token", [None, "", "forged"])
def test_without_their_token_the_key_is_unknown(store: Store, key: TemporaryKey, token: str | None) -> None:
    with pytest.raises(UnknownAccessKey):
        call(store, key, token=token)
    with pytest.raises(UnknownAccessKey):
        look(store, key, token=token)


def test_with_another_secret_the_signature_is_wrong(store: Store, key: TemporaryKey) -> None:
    with pytest.raises(SignatureDoesNotMatch):
        call(store, replace(key, secret="x" * 40), token=key.token)


def test_after_their_time_they_are_told_to_have_expired_but_only_to_their_holder(
    store: Store, key: TemporaryKey
) -> None:
    call(store, key, now=NOW + LASTS - timedelta(seconds=1), token=key.token)
    late = NOW + LASTS
    with pytest.raises(ExpiredToken):
        call(store, key, now=late, token=key.token)
    with pytest.raises(ExpiredToken):
        look(store, key, now=late, token=key.token)
    with pytest.raises(UnknownAccessKey):
        call(store, key, now=late, token="forged")
    with pytest.raises(SignatureDoesNotMatch):
        call(store, replace(key, secret="x" * 40), now=late, token=key.token)
