"""Who has the whole database, and neither the gateway key nor the master key, has nothing that signs."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from tests.store.test_store import schema

from hatchway.access.signing_keys import GATEWAY_SERVICE, SigningKeyOpener, SigningKeys, gateway_dates
from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.host_token import HOST_TOKEN, HostToken
from hatchway.domain.identity import InlinePolicy, OwnerKind, User
from hatchway.keys.access_keys import create_access_key
from hatchway.keys.vault import Unsealable, Vault
from hatchway.sigv4.errors import SignatureError
from hatchway.sigv4.keys import derive_signing_key
from hatchway.sigv4.request import HttpRequest
from hatchway.sigv4.signature import read_query_signature
from hatchway.sigv4.signing import presign
from hatchway.sigv4.verification import verify
from hatchway.store import Store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
REGION = "us-east-1"
HOST = "gateway.example"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@dataclass
class Furnished:
    store: Store
    gateway: Vault
    master: Vault
    secrets: dict[str, str]
    """The secret access keys by their ids: root's and a user's, who may do everything."""

    def refresh(self) -> None:
        SigningKeys(self.store, self.master, self.gateway, clock=lambda: NOW, region=REGION).refresh()


@pytest.fixture
def furnished(store: Store) -> Furnished:
    master, gateway = Vault(os.urandom(32)), Vault(os.urandom(32))
    with store.write() as tx:
        tx.users.put(User(name="alice", id="AIDAALICE", path="/", created_at=NOW))
        tx.inline_policies.put(
            InlinePolicy(
                owner_kind=OwnerKind.USER, owner_name="alice", policy_name="all", document=EVERYTHING
            )
        )
        made = [
            create_access_key(tx, master, user_name=name, now=NOW, random_bytes=os.urandom)
            for name in ("alice", None)
        ]
    return Furnished(store, gateway, master, {key.key.id: key.secret for key in made})


def values(store: Store) -> Iterator[Any]:
    """Every value in every table that the database has."""
    with store.engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            yield from (
                value for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"') for value in row
            )


def as_keys(stolen: list[Any]) -> Iterator[bytes]:
    """Whatever of it could be a signing key: each piece of 32 bytes."""
    for value in stolen:
        if isinstance(value, bytes | memoryview):
            content = bytes(value)
            yield from (content[first : first + 32] for first in range(max(1, len(content) - 31)))


def opens(access_key_id: str, secret: str, key: bytes, service: str = GATEWAY_SERVICE) -> bool:
    """Whether this key verifies what the owner of the secret has signed, so that it could sign it as well."""
    signed = presign(
        HOST, "/openTunnel", {}, access_key_id=access_key_id, secret_access_key=secret, now=NOW,
        region=REGION, service=service, expires=60,
    )  # fmt: skip
    path, _, query = signed.partition("?")
    request = HttpRequest("GET", path, query, (("host", HOST),))
    try:
        verify(request, read_query_signature(request), key, now=NOW, region=REGION, services={service})
    except SignatureError:
        return False
    return True


def test_nothing_in_the_database_signs_for_anybody(furnished: Furnished) -> None:
    store = furnished.store
    furnished.refresh()
    stolen = list(values(store))
    texts = [value for value in stolen if isinstance(value, str)]
    assert len(texts) > 10
    tried = 0
    for key_id, secret in furnished.secrets.items():
        assert secret not in "\0".join(texts)
        for key in as_keys(stolen):
            tried += 1
            assert not opens(key_id, secret, key)
        for text in texts:
            assert not opens(key_id, secret, derive_signing_key(text, "20261124", REGION, GATEWAY_SERVICE))
    assert tried > 100
    # It is there, for whoever has the gateway key: alice's, for three days, and not root's.
    with store.read() as tx:
        rows = tx.sealed_signing_keys.find()
    (alice,) = {row.access_key_id for row in rows}
    opened = [SigningKeyOpener(furnished.gateway).open(row) for row in rows]
    assert [opens(alice, furnished.secrets[alice], key) for key in opened if key] == [False, True, False]
    assert [row.date for row in rows] == list(gateway_dates(NOW))
    assert not any(
        opens(key_id, secret, key)
        for key_id, secret in furnished.secrets.items()
        if key_id != alice
        for key in opened
        if key
    )


def test_no_sealed_text_opens_with_another_key_or_the_other_of_the_two(furnished: Furnished) -> None:
    furnished.refresh()
    with furnished.store.read() as tx:
        rows, sealed = tx.sealed_signing_keys.find(), tx.sealed_secrets.find()
    for vault in (furnished.master, Vault(bytes(32))):
        assert [SigningKeyOpener(vault).open(row) for row in rows] == [None] * 3
    for secret in sealed:
        with pytest.raises(Unsealable):
            furnished.gateway.unseal(secret.ciphertext, f"secret access key of {secret.access_key_id}")


def test_of_a_host_token_the_database_has_what_no_token_is_made_of(store: Store) -> None:
    token = HOST_TOKEN.write(BearerToken("i-0123456789abcdef0", os.urandom(SECRET_SIZE)))
    hashed = HOST_TOKEN.hash(HOST_TOKEN.read(token))
    with store.record() as tx:
        tx.host_tokens.put(HostToken(instance_id="i-0123456789abcdef0", token_hash=hashed, created_at=NOW))
    for value in values(store):
        if isinstance(value, bytes | memoryview):
            again = HOST_TOKEN.write(BearerToken("i-0123456789abcdef0", bytes(value)[:SECRET_SIZE]))
            assert HOST_TOKEN.hash(HOST_TOKEN.read(again)) != hashed
        assert not isinstance(value, str) or token.partition("i-0123456789abcdef0_")[2] not in value


def test_keys_that_lay_in_the_clear_are_gone_after_the_migration(
    furnished: Furnished, tmp_path: Path
) -> None:
    store = furnished.store
    schema(store, command.downgrade, "0003")
    clear = {
        key_id: derive_signing_key(secret, "20261124", REGION, GATEWAY_SERVICE)
        for key_id, secret in furnished.secrets.items()
    }
    with store.engine.begin() as connection:
        for key_id, key in clear.items():
            connection.execute(
                sa.text("INSERT INTO signing_keys VALUES (:id, '20261124', :region, :service, :key, 1)"),
                {"id": key_id, "region": REGION, "service": GATEWAY_SERVICE, "key": key},
            )
    stolen = list(values(store))
    assert [any(opens(each, furnished.secrets[each], key) for key in as_keys(stolen)) for each in clear] == [
        True,
        True,
    ]
    revision = store.revision()
    store.migrate()
    # Gateways of before keep in memory what they have: they are told nothing.
    assert store.revision() == revision
    furnished.refresh()
    stolen = list(values(store))
    for key_id, secret in furnished.secrets.items():
        assert not any(opens(key_id, secret, key) for key in as_keys(stolen))
    with store.read() as tx:
        assert len(tx.sealed_signing_keys.find()) == 3
    if store.is_sqlite:
        store.close()
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not [key for key in clear.values() if key in content]


def test_what_an_older_control_plane_writes_beside_us_is_dropped(furnished: Furnished) -> None:
    store = furnished.store
    keys = SigningKeys(store, furnished.master, furnished.gateway, clock=lambda: NOW, region=REGION)
    keys.refresh()
    with store.engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO signing_keys VALUES ('AKIA1', '20261124', 'r', 's', :key, 1)"),
            {"key": bytes(32)},
        )
    with store.write() as tx:
        tx.users.put(User(name="bob", id="AIDABOB", path="/", created_at=NOW))
    keys.refresh()
    with store.read() as tx:
        assert not tx.has_clear_signing_keys()


def test_a_gateway_of_before_is_told_of_keys_that_go_under_the_name_that_it_knows(
    furnished: Furnished,
) -> None:
    furnished.refresh()
    store = furnished.store
    since = store.position()
    with store.write() as tx:
        tx.sealed_signing_keys.delete_where(date="20261124")
    with store.read() as tx:
        assert {kind for kind, _ in tx.deleted_since(since.revision)} == {"signing_keys"}
    assert set(store.changes(since).deleted) == {"sealed_signing_keys"}
    # What a version to come has and this one does not is no trouble either.
    with store.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO tombstones (kind, row_key, revision) VALUES ('inventions', '[\"x\"]', :now)"
            ),
            {"now": since.revision + 1},
        )
    assert set(store.changes(since).deleted) == {"sealed_signing_keys"}
