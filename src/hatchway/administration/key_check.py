"""The store's check of its master key, put anew where the row was altered."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from hatchway.audit.local_trail import record
from hatchway.errors import CommandFailed
from hatchway.installation.installation import Installation
from hatchway.keys.access_keys import count_opened, opens_secrets, replace_check


@dataclass(frozen=True, slots=True)
class Mended:
    """`changed` is whether the check had been altered; `opened` of `number` secrets this master key opens."""

    changed: bool
    opened: int
    number: int


def mend_check(installation: Installation) -> Mended:
    """Puts the check of this master key in the place of one that it does not open, if most of what is sealed
    there says that it is the store's. Where nothing is, it is nobody's, and any key's.

    Raises:
        CommandFailed: it opens no more than half of the secrets: then it is the key that is wrong.
    """
    with installation.store.write() as tx:
        opened, number = count_opened(tx, installation.vault)
        if opens_secrets(tx, installation.vault):
            return Mended(False, opened, number)
        if number and 2 * opened <= number:
            raise CommandFailed(
                f"this master key opens {opened} of the store's {number} secrets: it is not the store's, and"
                " the check stays. Restore master.key from a backup"
            )
        replace_check(tx, installation.vault, os.urandom)
        record(
            tx,
            installation.account,
            datetime.now(UTC),
            "MendMasterKeyCheck",
            parameters={"masterKeyId": installation.vault.key_id},
            answer={"opened": opened, "secrets": number},
        )
    return Mended(True, opened, number)
