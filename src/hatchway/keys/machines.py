"""What a join token and a machine's token stand for, and what only that machine can open.

Both are among the store's secrets, sealed under the master key: whoever can merely write rows cannot make a
machine to which keys are given, and what seals the secrets anew does so with these.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from hatchway.domain.bearer_token import BearerToken, TokenForm
from hatchway.domain.machine import Role
from hatchway.keys.access_keys import put_secret, secret_of
from hatchway.keys.key_files import Keys
from hatchway.keys.vault import Unsealable, Vault
from hatchway.store import Transaction

MASTER: Final = "master"
GATEWAY: Final = "gateway"
"""The kinds of keys that machines are given."""
AUTHORITY: Final = "ca"
"""What the certificates that clients trust are called beside these."""
_SUITE: Final = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token gives.

    Attributes:
        token_hash: of the token that has to be shown.
        names: what the certificate may be for, besides what follows from the role.
        vpcs, endpoints: names or ids of those to which a gateway is bound; none for all.
        store_url: of a join token alone: the store's, with its password.
        public_key: of a machine alone: what is sealed for it is sealed under this.
    """

    token_hash: bytes = field(repr=False)
    role: Role
    names: tuple[str, ...] = ()
    vpcs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    store_url: str = field(default="", repr=False)
    public_key: bytes = b""


def put_grant(tx: Transaction, vault: Vault, token_id: str, grant: Grant) -> None:
    """Seals and stores it, in the place of a former one."""
    text = {
        "token_hash": grant.token_hash.hex(),
        "role": grant.role.value,
        "names": grant.names,
        "vpcs": grant.vpcs,
        "endpoints": grant.endpoints,
        "store_url": grant.store_url,
        "public_key": grant.public_key.hex(),
    }
    put_secret(tx, vault, token_id, json.dumps(text))


def grant_of(tx: Transaction, vault: Vault, form: TokenForm, token: BearerToken) -> Grant | None:
    """What a token that somebody shows stands for; None where it is not good, or was altered."""
    try:
        text = secret_of(tx, vault, token.id)
    except Unsealable:
        return None
    if text is None:
        return None
    kept = json.loads(text)
    grant = Grant(
        token_hash=bytes.fromhex(kept["token_hash"]),
        role=Role(kept["role"]),
        names=tuple(kept["names"]),
        vpcs=tuple(kept["vpcs"]),
        # Those from before there were any have none.
        endpoints=tuple(kept.get("endpoints", ())),
        store_url=kept["store_url"],
        public_key=bytes.fromhex(kept["public_key"]),
    )
    return grant if hmac.compare_digest(form.hash(token), grant.token_hash) else None


def delete_grant(tx: Transaction, token_id: str) -> None:
    """Ends a token."""
    tx.sealed_secrets.delete(token_id)


def new_machine_key() -> tuple[bytes, bytes]:
    """A machine's private key, and the public key under which others seal for it."""
    private = X25519PrivateKey.generate().private_bytes_raw()
    return private, public_key_of(private)


def public_key_of(private_key: bytes) -> bytes:
    """The public key that belongs to a private one."""
    return X25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def read_public_key(text: str) -> bytes:
    """
    Args:
        text: base64.

    Raises:
        ValueError: it is no public key.
    """
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as problem:
        raise ValueError("not base64") from problem
    X25519PublicKey.from_public_bytes(key)
    return key


def ids_of(keys: Keys) -> tuple[str, ...]:
    """Those of a kind, the one that seals first."""
    return Vault(*keys.all).key_ids


def told_ids(held: Mapping[str, Keys]) -> tuple[str, ...]:
    """How a machine says which keys it has, of each kind the one that seals first."""
    return tuple(f"{kind}:{key_id}" for kind, keys in sorted(held.items()) for key_id in ids_of(keys))


def told_authorities(fingerprints: Sequence[str]) -> tuple[str, ...]:
    """How it is kept beside these which CAs a machine trusts."""
    return tuple(f"{AUTHORITY}:{each}" for each in fingerprints)


def seal_context(machine_id: str) -> str:
    """What keys for a machine are sealed as."""
    return f"keys of machine {machine_id}"


def seal_for(public_key: bytes, plaintext: bytes, context: str) -> bytes:
    """What nobody opens but who has the private key (RFC 9180, base mode).

    Raises:
        ValueError: to that key nothing can be sealed: its shared secret would be none (RFC 7748, section 6).
    """
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public_key), context.encode())


def open_sealed(private_key: bytes, sealed: bytes, context: str) -> bytes:
    """
    Raises:
        Unsealable: it was sealed for another machine or another purpose, or altered.
    """
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), context.encode())
    except (InvalidTag, ValueError):
        raise Unsealable("what was sealed for this machine does not open") from None
