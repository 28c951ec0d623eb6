"""Access keys and their secrets: SigV4 needs these to verify, so the control plane keeps them, sealed."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from hatchway.domain.identity import AccessKey, KeyStatus, SealedSecret
from hatchway.domain.ids import Kind, new_id
from hatchway.keys.vault import Unsealable, Vault
from hatchway.store import Transaction
from hatchway.store.tables import sealed_secrets

MOST_KEYS: Final = 2
"""Keys of one user, the root user included (AWS: "IAM and AWS STS quotas")."""
_CHECK: Final = "master-key-check"
"""In the place of an access key's id: no such id has a hyphen."""


@dataclass(frozen=True, slots=True)
class NewAccessKey:
    """A key just made: the only moment at which its secret can be told."""

    key: AccessKey
    secret: str = field(repr=False)


def create_access_key(
    tx: Transaction,
    vault: Vault,
    *,
    user_name: str | None,
    now: datetime,
    random_bytes: Callable[[int], bytes],
) -> NewAccessKey:
    """Makes an active key for a user (None: the root user), and its sealed secret.

    Gateways verify with what `hatchway.access.granted_keys` derives from it in the same transaction.
    """
    key = AccessKey(
        id=new_id(Kind.ACCESS_KEY, random_bytes(16)),
        user_name=user_name,
        status=KeyStatus.ACTIVE,
        created_at=now,
    )
    # 30 bytes of base64 are the 40 characters that every AWS tool expects of a secret.
    secret = base64.b64encode(random_bytes(30)).decode("ascii")
    tx.access_keys.put(key)
    put_secret(tx, vault, key.id, secret)
    return NewAccessKey(key, secret)


def delete_access_key(tx: Transaction, key_id: str) -> bool:
    """Takes a key away with all that was derived from it; whether there was one."""
    tx.sealed_secrets.delete(key_id)
    tx.sealed_signing_keys.delete_where(access_key_id=key_id)
    tx.access_key_uses.delete(key_id)
    return tx.access_keys.delete(key_id)


def set_status(tx: Transaction, key: AccessKey, status: KeyStatus) -> None:
    """Activates or deactivates a key. An inactive key's tunnels are cut."""
    tx.access_keys.put(replace(key, status=status))


def put_secret(tx: Transaction, vault: Vault, key_id: str, secret: str) -> None:
    """Seals and stores the secret of an access key, long-term or temporary."""
    ciphertext = vault.seal(secret.encode(), _seal_context(key_id))
    tx.sealed_secrets.put(SealedSecret(access_key_id=key_id, ciphertext=ciphertext))


def unsealed(vault: Vault, key_id: str, sealed: bytes | None) -> str | None:
    """The secret of a key, for the control plane's own verifying; None, in the same time, when there is none.

    Raises:
        Unsealable: the store was altered, or sealed under another master key.
    """
    if sealed is None:
        vault.unseal_nothing()
        return None
    return vault.unseal(sealed, _seal_context(key_id)).decode()


def secret_of(tx: Transaction, vault: Vault, key_id: str) -> str | None:
    """The same of a key in the store.

    Raises:
        Unsealable: as above.
    """
    sealed = tx.sealed_secrets.get(key_id)
    return unsealed(vault, key_id, None if sealed is None else sealed.ciphertext)


def put_check(tx: Transaction, vault: Vault, random_bytes: Callable[[int], bytes]) -> None:
    """Puts the check of the master key into a store that has none.

    Among the secrets, so that whatever seals them anew does so with it; and like one, but that nobody has it.
    """
    if tx.sealed_secrets.get(_CHECK) is None:
        put_secret(tx, vault, _CHECK, base64.b64encode(random_bytes(30)).decode("ascii"))


def opens_secrets(tx: Transaction, vault: Vault) -> bool:
    """Whether this is the store's master key: it opens the check.

    In the store of a version that made none: it opens some secret, or there is none yet. One row that was
    altered does not speak against it.
    """
    check = tx.sealed_secrets.get(_CHECK)
    if check is not None:
        return _opens(vault, check)
    opened, others = count_opened(tx, vault)
    return not others or opened > 0


def count_opened(tx: Transaction, vault: Vault) -> tuple[int, int]:
    """How many secrets this master key opens, and how many there are, the check aside.

    Where it opens all, or most, and yet not the check, that was altered.
    """
    others = [each for each in tx.sealed_secrets.find() if each.access_key_id != _CHECK]
    return sum(_opens(vault, each) for each in others), len(others)


def replace_check(tx: Transaction, vault: Vault, random_bytes: Callable[[int], bytes]) -> None:
    """Puts the check of this master key in the place of one that was altered."""
    tx.sealed_secrets.delete(_CHECK)
    put_check(tx, vault, random_bytes)


def _opens(vault: Vault, sealed: SealedSecret) -> bool:
    try:
        vault.unseal(sealed.ciphertext, _seal_context(sealed.access_key_id))
    except Unsealable:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Resealed:
    """Of some secrets: how many were sealed anew, how many open with no key that is known, and the last key
    id among them, None where there are no more."""

    anew: int
    unopened: int
    last: str | None


def reseal(tx: Transaction, vault: Vault, *, after: str, most: int) -> Resealed:
    """Seals anew, under the vault's key, those of the next `most` secrets that another key sealed.

    One that no key opens is left as it is: it was altered, and is of no use to anybody.
    """
    batch = tx.sealed_secrets.find(sealed_secrets.c.access_key_id > after, limit=most)
    anew = unopened = 0
    for each in batch:
        context = _seal_context(each.access_key_id)
        if vault.is_current(each.ciphertext, context):
            continue
        try:
            secret = vault.unseal(each.ciphertext, context)
        except Unsealable:
            unopened += 1
            continue
        tx.sealed_secrets.put(replace(each, ciphertext=vault.seal(secret, context)))
        anew += 1
    return Resealed(anew, unopened, batch[-1].access_key_id if len(batch) == most else None)


def _seal_context(key_id: str) -> str:
    # Not whose it is: whoever can write that can write that one's policies as well.
    return f"secret access key of {key_id}"
