"""New access keys, and the signing keys derived from them for gateways.

SigV4 needs the secret on the verifying side. The control plane keeps it sealed; a gateway gets only keys that
were derived from it for one date, region and service (AWS: "Create a signed AWS API request", step 3).
"""

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hatchway.access.vault import Vault
from hatchway.domain.identity import AccessKey, KeyStatus, SealedSecret, SigningKey
from hatchway.domain.ids import Kind, new_id
from hatchway.sigv4 import derive_signing_key
from hatchway.store import Transaction

GATEWAY_SERVICE = "ec2-instance-connect"
"""The one service whose requests gateways verify."""
_DAYS = (-1, 0, 1)


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
    region: str,
    random_bytes: Callable[[int], bytes],
) -> NewAccessKey:
    """Makes an active key for a user (None: the root user), its sealed secret and its signing keys."""
    key = AccessKey(
        id=new_id(Kind.ACCESS_KEY, random_bytes(16)),
        user_name=user_name,
        status=KeyStatus.ACTIVE,
        created_at=now,
    )
    # 30 bytes of base64 are the 40 characters that every AWS tool expects of a secret.
    secret = base64.b64encode(random_bytes(30)).decode("ascii")
    tx.access_keys.put(key)
    tx.sealed_secrets.put(
        SealedSecret(access_key_id=key.id, ciphertext=vault.seal(secret.encode(), _seal_context(key.id)))
    )
    tx.signing_keys.put_all(_derive(key.id, secret, gateway_dates(now), region))
    return NewAccessKey(key, secret)


def delete_access_key(tx: Transaction, key_id: str) -> bool:
    """Takes a key away with all that was derived from it; whether there was one."""
    tx.sealed_secrets.delete(key_id)
    tx.signing_keys.delete_where(access_key_id=key_id)
    return tx.access_keys.delete(key_id)


def secret_of(tx: Transaction, vault: Vault, key_id: str) -> str | None:
    """The secret of a key, for the control plane's own verifying.

    Raises:
        Unsealable: the store was altered, or sealed under another master key.
    """
    sealed = tx.sealed_secrets.get(key_id)
    return None if sealed is None else vault.unseal(sealed.ciphertext, _seal_context(key_id)).decode()


def gateway_dates(now: datetime) -> tuple[str, ...]:
    """Yesterday, today and tomorrow, as scopes write dates."""
    return tuple((now + timedelta(days=days)).strftime("%Y%m%d") for days in _DAYS)


def roll_signing_keys(tx: Transaction, vault: Vault, *, now: datetime, region: str) -> int:
    """Derives what is missing for the dates of `now` and drops what is past; how many rows changed.

    The control plane does this when it starts and every hour, so gateways always hold tomorrow's keys.
    """
    dates = gateway_dates(now)
    held = {(row.access_key_id, row.date) for row in tx.signing_keys.find(region=region)}
    changed = 0
    for key in tx.access_keys.find():
        missing = [date for date in dates if (key.id, date) not in held]
        secret = secret_of(tx, vault, key.id) if missing else None
        if secret is not None:
            rows = list(_derive(key.id, secret, missing, region))
            tx.signing_keys.put_all(rows)
            changed += len(rows)
    for key_id, date in held:
        if date not in dates:
            changed += tx.signing_keys.delete(key_id, date, region, GATEWAY_SERVICE)
    return changed


def _derive(key_id: str, secret: str, dates: Iterable[str], region: str) -> Iterable[SigningKey]:
    for date in dates:
        yield SigningKey(
            access_key_id=key_id,
            date=date,
            region=region,
            service=GATEWAY_SERVICE,
            key=derive_signing_key(secret, date, region, GATEWAY_SERVICE),
        )


def _seal_context(key_id: str) -> str:
    return f"secret access key of {key_id}"
