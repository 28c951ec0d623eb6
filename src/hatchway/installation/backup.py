"""`hatchway backup`: files of one moment, from which `hatchway restore` makes the installation again."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from hatchway import __version__
from hatchway.audit.local_trail import record, user_name
from hatchway.installation.atomic_directory import failing, filled_directory
from hatchway.installation.backup_set import (
    LIST,
    POSTGRESQL,
    SQLITE,
    STORE,
    Backup,
    check_keys,
    check_store,
    content_of,
    read_small,
)
from hatchway.installation.installation import Installation, open_installation
from hatchway.keys.key_files import GATEWAY_KEY, MASTER_KEY, read_gateway_keys, read_master_keys
from hatchway.keys.vault import Vault
from hatchway.settings import DataDirectory
from hatchway.store import (
    StoreBusy,
    TransactionEnded,
    copy_store,
    explain,
    own_schema,
    show_store,
)

_NOT_OURS: Final = (".new", "-wal", "-shm", "-journal")
"""What names of files end with that are part of another, or on their way to become one."""


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """A backup as it was made. `notes` say what else a restore takes; `warning` what went wrong besides."""

    backup: Backup
    notes: tuple[str, ...]
    warning: str | None


def make_backup(directory: DataDirectory, store_url: str | None, target: Path, now: datetime) -> MadeBackup:
    """Makes a backup in a directory that is empty or not there, and looks through it. Servers run on.

    Raises:
        CommandFailed: it could not be made; nothing is left of it.
    """
    with (
        open_installation(directory, store_url, older=True) as installation,
        failing(f"cannot make the backup in {target}"),
        filled_directory(target, last=LIST) as aside,
    ):
        small = _copy_small(directory, aside)
        is_sqlite = installation.store.is_sqlite
        if is_sqlite:
            copy_store(installation.store, aside / STORE)
        backup = Backup(
            made_at=now,
            version=__version__,
            schema=installation.store.check_schema(older=True),
            account=installation.account.id,
            region=installation.account.region,
            gateway_dns_name=installation.account.gateway_dns_name,
            store=SQLITE if is_sqlite else POSTGRESQL,
            owner=user_name(directory.path.stat().st_uid),
            # The environment's before the file's, as servers have it.
            master_key=Vault(*read_master_keys(directory.master_key, os.environ).all).key_id,
            gateway_key=_gateway_key(directory),
            files={name: content_of(aside / name) for name in (*([STORE] if is_sqlite else []), *small)},
        )
        master = check_keys(aside, backup, os.environ)
        if is_sqlite:
            check_store(aside / STORE, backup, master)
        warning = _record(installation, target, backup, now)
        _write(aside / LIST, json.dumps(backup.to_json(), indent=2).encode() + b"\n")
    return MadeBackup(backup, tuple(_notes(directory, store_url, backup)), warning)


def _copy_small(directory: DataDirectory, aside: Path) -> list[str]:
    """Copies all that is there, but the store; their names."""
    files = [
        directory.master_key,
        directory.gateway_key,
        directory.ca_key,
        directory.ca_certificate,
        directory.next_ca_key,
        directory.server_certificate,
        directory.api_location,
    ]
    # A key that the environment gives is not put beside what it opens.
    instead = {
        path
        for path, kind in ((directory.master_key, MASTER_KEY), (directory.gateway_key, GATEWAY_KEY))
        if kind.variable in os.environ
    }
    copied = []
    for path in files:
        if path in instead:
            continue
        try:
            content = read_small(path)
        except FileNotFoundError:
            continue
        _write(aside / path.name, content)
        copied.append(path.name)
    return copied


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)


def _gateway_key(directory: DataDirectory) -> str | None:
    """
    Raises:
        KeyProblem: there is one, which is not fit.
    """
    if GATEWAY_KEY.variable not in os.environ and not os.path.lexists(directory.gateway_key):
        return None
    return Vault(*read_gateway_keys(directory.gateway_key, os.environ).all).key_id


def _record(installation: Installation, target: Path, backup: Backup, now: datetime) -> str | None:
    """Enters that there is one more copy of all keys; why it could not be, if so."""
    answer = {"files": sorted(backup.files), "schema": backup.schema}
    try:
        with installation.store.record() as tx:
            parameters = {"directory": str(target)}
            record(tx, installation.account, now, "CreateBackup", parameters=parameters, answer=answer)
    except (SQLAlchemyError, StoreBusy, TransactionEnded) as problem:
        # A store that can no longer be written is one that has to be backed up.
        said = "the backup was made, but not recorded in the audit trail"
        if backup.schema < own_schema():
            return f"{said}: the store still has the older schema {backup.schema}"
        return f"{said}: {explain(problem) or 'see the store'}"
    return None


def _notes(directory: DataDirectory, store_url: str | None, backup: Backup) -> Iterator[str]:
    """What a restore takes that is not in the backup."""
    if backup.store == POSTGRESQL:
        name = show_store(store_url or "")
        yield f"the store, which is the database {name}: dump it now too, with pg_dump --format=custom"
    for kind in (MASTER_KEY, GATEWAY_KEY):
        if kind.variable in os.environ:
            yield f"the {kind.name}, which is in {kind.variable}: keep it, and set it when you restore"
    missing = [directory.ca_key, directory.ca_certificate, directory.server_certificate]
    for path in missing:
        if path.name not in backup.files:
            yield f"{path.name}, which is not in {directory.path}"
    yield from _others(directory, backup)


def _others(directory: DataDirectory, backup: Backup) -> Iterator[str]:
    known = {*backup.files, STORE, directory.master_key.name, directory.gateway_key.name}
    for path in sorted(directory.path.iterdir()):
        if path.name in known or path.name.startswith(".") or path.name.endswith(_NOT_OURS):
            continue
        if path == directory.audit_log:
            yield f"{path.name}, because the store has all its events"
        elif path in (directory.machine, directory.store_location):
            yield f"{path.name}, because another machine joins if this one is lost"
        else:
            yield f"{path.name}, which is not one of Hatchway's files"
