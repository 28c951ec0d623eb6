"""`hatchway restore`: makes an installation again from what `hatchway backup` made of it."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Final

from hatchway.audit.local_trail import record, user_name
from hatchway.errors import BadUsage, CommandFailed
from hatchway.failures import failures
from hatchway.installation.atomic_directory import failing, filled_directory
from hatchway.installation.backup_set import (
    MODES,
    SQLITE,
    STORE,
    Backup,
    check_files,
    check_keys,
    check_store,
    open_file,
)
from hatchway.installation.first_machine import require_no_first_machine
from hatchway.keys.access_keys import opens_secrets
from hatchway.keys.key_files import read_gateway_keys
from hatchway.keys.machines import AUTHORITY, GATEWAY, MASTER, ids_of
from hatchway.keys.vault import Vault
from hatchway.pki.certificates import certificates_in, fingerprint
from hatchway.settings import DataDirectory
from hatchway.store import Store
from hatchway.store.tables import accounts

_CALLED: Final = {MASTER: "master key", GATEWAY: "gateway key", AUTHORITY: "private CA"}
_KEYS_NOTED_SINCE: Final = "0027"
"""The first schema of which a store says which keys are the ones to have."""
_NOT_OF_ONE_MOMENT: Final = (
    "one of the two is older, and keys were rotated in between. Restore both from the same moment, or promote"
    " a control plane that joined, because it has the current keys: hatchway machine promote (docs/backup.md)"
)


def restore_backup(
    source: Path, directory: DataDirectory, store_url: str | None, now: datetime
) -> tuple[Backup, str]:
    """Makes a data directory of a backup, once all of that is found sound; the backup, and the files' owner.

    The store is brought to this program's schema, and its audit trail gets an event of the restoration.

    Raises:
        CommandFailed: the backup is not sound, a newer program's, or cannot be restored there. Nothing is
            changed then.
    """
    with (
        failures(store_url or directory.store_url),
        failing(f"cannot restore into {directory.path}"),
    ):
        backup = Backup.read(source)
        check_files(source, backup)
        master = check_keys(source, backup, os.environ)
        if backup.store == SQLITE:
            if store_url is not None:
                raise BadUsage(
                    f"the backup {source} includes the store: leave out --store-url and HATCHWAY_STORE_URL"
                )
            check_store(source / STORE, backup, master)
        elif store_url is None:
            raise BadUsage(
                f"the store of the backup {source} is in PostgreSQL: restore its dump with pg_restore, then"
                " give its URL with --store-url"
            )
        else:
            _check_database(store_url, source, backup, master)
        with filled_directory(directory.path, last=STORE, owner=_owner(directory.path, backup)) as aside:
            for name in backup.files:
                _copy(source / name, aside / name, MODES[name])
            # What is restored is what was looked at, even if somebody writes there meanwhile.
            check_files(aside, backup)
            # Where the API was: what is restored may be on another machine, beside the one that was copied.
            DataDirectory(aside).api_location.unlink(missing_ok=True)
            _ready(store_url or DataDirectory(aside).store_url, source, backup, now)
        return backup, user_name(directory.path.stat().st_uid)


def _check_database(store_url: str, source: Path, backup: Backup, master: Vault) -> None:
    """
    Raises:
        CommandFailed: the database holds something else than the backup's account, or has other keys since.
        SchemaMismatch, SQLAlchemyError: it cannot be used.
    """
    with closing(Store.open(store_url)) as store:
        schema = store.check_schema(older=True)
        with store.read() as tx:
            held = [each for (each,) in tx.accounts.values(accounts.c.id)]
            if held != [backup.account]:
                raise CommandFailed(f"the database does not hold account {backup.account}: restore its dump")
            if not opens_secrets(tx, master):
                raise CommandFailed(
                    f"the master key of the backup cannot open the database's secrets: {_NOT_OF_ONE_MOMENT}"
                )
            for kind, key_ids in _key_ids(source, backup, master) if schema >= _KEYS_NOTED_SINCE else ():
                state = tx.key_states.get(kind)
                if state is not None and not state.suits(key_ids):
                    raise CommandFailed(
                        f"the database does not use the {_CALLED[kind]} of the backup: {_NOT_OF_ONE_MOMENT}"
                    )
        if schema >= _KEYS_NOTED_SINCE:
            require_no_first_machine(store)


def _key_ids(source: Path, backup: Backup, master: Vault) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Those of each kind that the backup has, the one that seals, or issues, first."""
    files = DataDirectory(source)
    yield MASTER, master.key_ids
    if files.gateway_key.name in backup.files:
        yield GATEWAY, ids_of(read_gateway_keys(files.gateway_key, {}))
    elif backup.gateway_key is not None:
        yield GATEWAY, (backup.gateway_key,)
    if files.ca_certificate.name in backup.files:
        yield AUTHORITY, tuple(map(fingerprint, certificates_in(files.ca_certificate.read_bytes())))


def _owner(directory: Path, backup: Backup) -> tuple[int, int] | None:
    """To whom root gives the files: to the directory's owner, or else to whom it belonged before."""
    if os.geteuid() != 0:
        return None
    if directory.exists():
        status = directory.stat()
        return status.st_uid, status.st_gid
    try:
        entry = pwd.getpwnam(backup.owner)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _copy(source: Path, target: Path, mode: int) -> None:
    target.touch(mode=0o600, exist_ok=False)
    with os.fdopen(open_file(source), "rb") as read, target.open("wb") as written:
        shutil.copyfileobj(read, written, 1 << 20)
        os.fchmod(written.fileno(), mode)


def _ready(store_url: str, source: Path, backup: Backup, now: datetime) -> None:
    with closing(Store.open(store_url)) as store:
        store.migrate()
        with store.write() as tx:
            # Gateways and control planes that run on a database's new contents.
            tx.begin_epoch()
            parameters = {"directory": str(source), "madeAt": backup.made_at.isoformat(timespec="seconds")}
            answer = {"masterKeyId": backup.master_key, "gatewayKeyId": backup.gateway_key}
            record(tx, tx.account(), now, "RestoreBackup", parameters=parameters, answer=answer)
