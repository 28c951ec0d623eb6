"""What tokens of machines stand for is sealed, and what is sealed for a machine opens there alone."""

import base64
import json
import os
from dataclasses import replace

import pytest

from hatchway.domain.bearer_token import SECRET_SIZE, BearerToken
from hatchway.domain.machine import MACHINE_TOKEN, Role
from hatchway.keys.access_keys import put_secret, secret_of
from hatchway.keys.key_files import NEXT, Keys
from hatchway.keys.machines import (
    GATEWAY,
    MASTER,
    Grant,
    delete_grant,
    grant_of,
    ids_of,
    new_machine_key,
    open_sealed,
    put_grant,
    read_public_key,
    seal_context,
    seal_for,
    told_authorities,
    told_ids,
)
from hatchway.keys.vault import Unsealable, Vault
from hatchway.store import Store

TOKEN = BearerToken("m-0123456789abcdef0", bytes(SECRET_SIZE))
GRANT = Grant(
    token_hash=MACHINE_TOKEN.hash(TOKEN),
    role=Role.GATEWAY,
    names=("gw.example",),
    vpcs=("lab",),
    endpoints=("web",),
    store_url="postgresql+psycopg://u:p@db/h",
    public_key=bytes(range(32)),
)


def test_a_token_stands_for_what_was_sealed_with_it_until_it_ends(store: Store) -> None:
    vault = Vault(os.urandom(32))
    with store.write() as tx:
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) is None
        put_grant(tx, vault, TOKEN.id, GRANT)
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) == GRANT
        assert grant_of(tx, vault, MACHINE_TOKEN, replace(TOKEN, secret=b"x" * SECRET_SIZE)) is None
        delete_grant(tx, TOKEN.id)
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) is None


def test_a_token_from_before_gateways_were_bound_to_endpoints_is_bound_to_none(store: Store) -> None:
    vault = Vault(os.urandom(32))
    with store.write() as tx:
        put_grant(tx, vault, TOKEN.id, GRANT)
        kept = json.loads(secret_of(tx, vault, TOKEN.id) or "")
        del kept["endpoints"]
        put_secret(tx, vault, TOKEN.id, json.dumps(kept))
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) == replace(GRANT, endpoints=())


def test_who_writes_rows_without_the_master_key_gives_nobody_anything(store: Store) -> None:
    vault = Vault(os.urandom(32))
    with store.write() as tx:
        put_grant(tx, Vault(os.urandom(32)), TOKEN.id, GRANT)
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) is None
        other = BearerToken("m-00000000000000001", bytes(SECRET_SIZE))
        put_grant(tx, vault, other.id, GRANT)
        sealed = tx.sealed_secrets.get(other.id)
        assert sealed is not None
        tx.sealed_secrets.put(replace(sealed, access_key_id=TOKEN.id))
        assert grant_of(tx, vault, MACHINE_TOKEN, TOKEN) is None


def test_neither_secrets_nor_the_stores_url_are_shown() -> None:
    assert "u:p@db" not in repr(GRANT)
    assert repr(GRANT.token_hash) not in repr(GRANT)


def test_what_is_sealed_for_a_machine_opens_there_and_for_that_alone() -> None:
    private, public = new_machine_key()
    sealed = seal_for(public, b"keys", seal_context("m-1"))
    assert open_sealed(private, sealed, seal_context("m-1")) == b"keys"
    for key, text, context in (
        (new_machine_key()[0], sealed, seal_context("m-1")),
        (private, sealed, seal_context("m-2")),
        (private, sealed[:-1], seal_context("m-1")),
        (private, b"", seal_context("m-1")),
        (b"short", sealed, seal_context("m-1")),
    ):
        with pytest.raises(Unsealable, match=r"^what was sealed for this machine does not open$"):
            open_sealed(key, text, context)


def test_a_public_key_is_32_bytes_of_base64_to_which_something_can_be_sealed() -> None:
    _, public = new_machine_key()
    text = base64.b64encode(public).decode()
    assert read_public_key(text) == public
    for other in ("*", text[:5] + "!" + text[5:], text + "\n"):
        with pytest.raises(ValueError, match=r"^not base64$"):
            read_public_key(other)
    for other in ("", "AAAA", base64.b64encode(bytes(33)).decode()):
        with pytest.raises(ValueError, match=r"32 bytes"):
            read_public_key(other)
    with pytest.raises(ValueError, match="shared key"):
        seal_for(bytes(32), b"keys", "context")


def test_the_authorities_that_a_machine_trusts_are_told_in_their_order_beside_its_keys() -> None:
    assert told_authorities(["f00", "ba7"]) == ("ca:f00", "ca:ba7")


def test_keys_are_told_by_their_ids_alone() -> None:
    one, two = os.urandom(32), os.urandom(32)
    keys = Keys(one, two, NEXT)
    assert ids_of(keys) == (Vault(one).key_id, Vault(two).key_id)
    assert told_ids({MASTER: Keys(one), GATEWAY: keys}) == (
        f"gateway:{Vault(one).key_id}",
        f"gateway:{Vault(two).key_id}",
        f"master:{Vault(one).key_id}",
    )
