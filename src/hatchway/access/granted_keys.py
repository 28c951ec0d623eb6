"""The signing keys of whom a transaction newly allows to open tunnels, derived in that transaction.

So whoever has a new access key, or has been granted tunnels, opens some as soon as he is told. A change that
touches many keys would keep others from writing for long: what those get, `SigningKeys` derives soon after.
"""

from datetime import datetime
from typing import Final

from hatchway.access.identities import IDENTITY_TABLES
from hatchway.access.signing_keys import derived, wanted_of
from hatchway.access.touched_keys import touched_after
from hatchway.keys.access_keys import secret_of
from hatchway.keys.vault import Unsealable, Vault
from hatchway.store import Transaction
from hatchway.store.tables import sealed_signing_keys

MOST: Final = 20
"""Access keys, temporary ones among them, whose permissions one change may have altered: some 20 ms."""


def derive_granted(tx: Transaction, master: Vault, gateway: Vault, *, now: datetime, region: str) -> None:
    """Derives what gateways lack to verify those whose permissions the transaction has altered so far.

    It takes nothing away, and nothing from whoever had it before.
    """
    changed = tx.changed & IDENTITY_TABLES
    if not changed:
        return
    touched = touched_after(tx, tx.revision() - 1, changed, now)
    if not touched or len(touched) > MOST:
        return
    held = {
        (row.access_key_id, row.date)
        for row in tx.sealed_signing_keys.find(sealed_signing_keys.c.access_key_id.in_(touched))
        if row.sealed_under == gateway.key_id
    }
    missing = wanted_of(tx, touched, now) - held
    for key_id in sorted({key_id for key_id, _date in missing}):
        try:
            secret = secret_of(tx, master, key_id)
        except Unsealable:
            # `SigningKeys` finds it too, and tells.
            continue
        if secret is not None:
            dates = sorted(date for its, date in missing if its == key_id)
            tx.sealed_signing_keys.put_all(
                derived(gateway, key_id, date, secret, region=region) for date in dates
            )
