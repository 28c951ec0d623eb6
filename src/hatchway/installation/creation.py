"""Making an installation: all of it, or none."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from hatchway.audit.local_trail import record, record_new_access_key
from hatchway.domain.account import Account, certificate_name
from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.failures import failures
from hatchway.installation.atomic_directory import OF_THE_FILE_SYSTEM, refuse_others
from hatchway.installation.installation import as_ever, is_there, machine_names
from hatchway.installation.secret_files import make_key, write_private
from hatchway.keys.access_keys import NewAccessKey, create_access_key, put_check
from hatchway.keys.key_files import (
    GATEWAY_KEY,
    MASTER_KEY,
    KeyKind,
    read_keys,
)
from hatchway.keys.vault import Vault
from hatchway.pki.alternative_names import without_wildcard
from hatchway.pki.certificate_authority import LOCAL_NAMES, OWN_NAME, create_ca, issue_server_certificate
from hatchway.pki.certificates import fingerprint
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory
from hatchway.store import Store, Transaction

_ASIDE: Final = ".init-"
_BEGUN: Final = ".unfinished"
"""There from before the first file comes into its place until all is done. What lies there then is of an
installation that was interrupted, and the next goes on with it. It says for which DNS name of gateways."""


def create_installation(
    directory: DataDirectory, store_url: str | None, account: Account, now: datetime
) -> NewAccessKey:
    """Makes everything that a server needs, and the root user's first access key.

    All is made aside and moved into place at the end, the store last: a data directory without a store was
    never finished. One that was killed is gone on with: its keys are taken, since the account may have been
    committed with them elsewhere.

    Raises:
        CommandFailed: there is an installation already, or a file or the store cannot be written.
    """
    with failures(store_url or directory.store_url):
        root_key = _create(directory, store_url, account, now, unattended=False)
    assert root_key is not None
    return root_key


def ensure_installation(
    directory: DataDirectory, store_url: str | None, account: Account, now: datetime
) -> Account | None:
    """Makes the same without an access key, unless there is an account already: that account, which is left
    as it is; None when it was made.

    Several may do it at once on one store: the first makes it.

    Raises:
        CommandFailed: a file or the store cannot be written, or keys lie about without a store.
    """
    with failures(store_url or directory.store_url):
        try:
            _create(directory, store_url, account, now, unattended=True)
        except _AccountExists as exists:
            return exists.account
    return None


class _AccountExists(CommandFailed):
    """The store holds an account already."""

    def __init__(self, account: Account) -> None:
        super().__init__(f"the store already contains account {account.id}: give the URL of an empty one")
        self.account = account


def _create(
    directory: DataDirectory, store_url: str | None, account: Account, now: datetime, *, unattended: bool
) -> NewAccessKey | None:
    if not unattended:
        # Looked at first: another init may end meanwhile, and what it has made is told in other words.
        others = _others(directory.path)
        _refuse_existing(directory, account)
        refuse_others(directory.path, others)
    fresh = not is_there(directory.path)
    moved: list[Path] = []
    begun = directory.path / _BEGUN
    staging: Path | None = None
    taken: frozenset[str] = frozenset()
    with _locked(directory) as descriptor:
        gone_on_with = is_there(begun)

        def move(paths: list[Path]) -> None:
            if not is_there(begun):
                write_private(begun, account.gateway_dns_name.encode())
                os.fsync(descriptor)
            _move(paths, descriptor, directory.path, moved)

        try:
            if unattended and store_url is None and is_there(directory.store):
                raise _found(directory.store_url) or CommandFailed(
                    "the store contains no account: restore it from a backup"
                )
            # Before anything is made or migrated: it may be somebody's whose servers run.
            if store_url is not None and (exists := _found(store_url)):
                raise exists
            _refuse_existing(directory, account)
            os.fchmod(descriptor, 0o700)
            for left in directory.path.glob(f"{_ASIDE}*"):
                shutil.rmtree(left)
            staging = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=directory.path))
            aside = DataDirectory(staging)
            taken = _take_up(directory, aside)
            root_key = _fill(aside, store_url, account, now, root=not unattended, move=move)
            if store_url is None:
                move([aside.store])
            with suppress(OSError):
                begun.unlink()
        except BaseException as problem:
            if store_url is None or not moved:
                for path in moved:
                    if path.name not in taken:
                        path.unlink(missing_ok=True)
                if not gone_on_with:
                    begun.unlink(missing_ok=True)
            # Else the database may have committed the account, whose keys these are: the next init knows.
            if isinstance(problem, _AccountExists):
                begun.unlink(missing_ok=True)
            if isinstance(problem, OSError):
                raise CommandFailed(f"cannot create {directory.path}: {reason(problem)}") from problem
            raise
        finally:
            if staging is not None:
                shutil.rmtree(staging, ignore_errors=True)
            if fresh and not any(directory.path.iterdir()):
                directory.path.rmdir()
    return root_key


def _fill(
    aside: DataDirectory,
    store_url: str | None,
    account: Account,
    now: datetime,
    *,
    root: bool,
    move: Callable[[list[Path]], None],
) -> NewAccessKey | None:
    """Makes keys, certificates and the account, and moves the files into place; root's access key if one is
    to be."""
    vault = Vault(_key(MASTER_KEY, aside.master_key))
    gateway_key = _key(GATEWAY_KEY, aside.gateway_key)
    if not is_there(aside.ca_key):
        _make_certificates(aside, account.gateway_dns_name, now)
    if store_url is None:
        aside.store.touch(mode=0o600)
    store = Store.open(store_url or aside.store_url)
    root_key = None
    try:
        store.migrate()
        with store.write() as tx:
            if tx.accounts.find():
                raise _AccountExists(tx.account())
            tx.accounts.put(account)
            put_check(tx, vault, os.urandom)
            _record_installation(tx, account, now, (vault, Vault(gateway_key)), aside)
            if root:
                root_key = create_access_key(tx, vault, user_name=None, now=now, random_bytes=os.urandom)
                record_new_access_key(tx, account, root_key.key, now)
            # A committed account whose master key was lost would be of no use: the files go first.
            keys = (
                aside.master_key,
                aside.gateway_key,
                aside.ca_key,
                aside.ca_certificate,
                aside.server_certificate,
            )
            move([path for path in keys if path.exists()])
    finally:
        store.close()
    return root_key


@contextmanager
def _locked(directory: DataDirectory) -> Iterator[int]:
    """The data directory, made if there is none, and open; one command at a time makes an installation there.

    Raises:
        CommandFailed: it cannot be made.
    """
    with ExitStack() as stack:
        try:
            while True:
                directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Another that failed may have taken it away while this one waited.
                if os.fstat(descriptor).st_nlink:
                    break
        except OSError as problem:
            raise CommandFailed(f"cannot create {directory.path}: {reason(problem)}") from problem
        yield descriptor


def _found(url: str) -> _AccountExists | None:
    """That there is an account in a store; None in an empty one."""
    store = Store.open(url)
    try:
        if store.is_empty():
            return None
        with store.read() as tx:
            found = as_ever(tx)
    finally:
        store.close()
    return _AccountExists(found[0]) if found else None


def _take_up(directory: DataDirectory, aside: DataDirectory) -> frozenset[str]:
    """Copies aside what one that was interrupted has moved into place; the names of the files.

    Of a CA without its certificate or the server's nothing was committed: another is made.
    """
    if not is_there(directory.path / _BEGUN):
        return frozenset()
    ca = (directory.ca_key, directory.ca_certificate, directory.server_certificate)
    files = [path for path in (directory.master_key, directory.gateway_key) if is_there(path)]
    files += ca if all(map(is_there, ca)) else ()
    for path in files:
        shutil.copy2(path, aside.path, follow_symlinks=False)
    return frozenset(path.name for path in files)


def _key(kind: KeyKind, path: Path) -> bytes:
    return read_keys(kind, path, os.environ).seals if is_there(path) else make_key(kind, path)


def _refuse_existing(directory: DataDirectory, account: Account) -> None:
    try:
        begun = directory.path / _BEGUN
        if is_there(directory.store):
            raise CommandFailed(
                f"{directory.path} already has a store: give another --data-dir"
                + (
                    ". The init that created it was killed after everything was in place: if you have not"
                    " seen root's key, create a new one with 'hatchway access-key rotate --root --at-once'"
                    if is_there(begun)
                    else ""
                )
            )
        if is_there(begun):
            name = read_as_owner(begun).decode("utf-8", "replace")
            if name in ("", account.gateway_dns_name):
                return
            raise CommandFailed(
                f"an interrupted init has left keys in {directory.path}: finish it with"
                f" --gateway-dns-name {name}, or remove the directory's files if no store needs them"
            )
        for path in (directory.master_key, directory.ca_key):
            if is_there(path):
                raise CommandFailed(
                    f"{path} already exists: give another --data-dir, or remove it if no store needs it"
                )
        if is_there(directory.path) and not directory.path.is_dir():
            raise BadUsage(f"{directory.path} is not a directory: give another --data-dir")
    except OSError as problem:
        raise CommandFailed(f"cannot use {directory.path}: {problem.strerror}") from problem


def _others(directory: Path) -> list[str]:
    """What lies there that no init has left. A home or a checkout is no place for keys, and would be closed
    to others.

    Raises:
        CommandFailed: it cannot be seen.
    """
    try:
        found = sorted(path.name for path in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise CommandFailed(f"cannot use {directory}: {problem.strerror}") from problem
    if _BEGUN in found:
        return []
    return [name for name in found if name != OF_THE_FILE_SYSTEM and not name.startswith(_ASIDE)]


def _record_installation(
    tx: Transaction, account: Account, now: datetime, keys: tuple[Vault, Vault], files: DataDirectory
) -> None:
    master, gateway = keys
    record(
        tx,
        account,
        now,
        "CreateInstallation",
        parameters={"accountId": account.id, "gatewayDnsName": account.gateway_dns_name},
        answer={
            "masterKeyId": master.key_id,
            "gatewayKeyId": gateway.key_id,
            "certificateAuthority": fingerprint(files.ca_certificate.read_bytes()),
        },
    )


def _make_certificates(aside: DataDirectory, gateway_dns_name: str, now: datetime) -> None:
    names = [certificate_name(gateway_dns_name), *LOCAL_NAMES, *machine_names()]
    names.append(without_wildcard(names[0]))
    ca = create_ca(f"{OWN_NAME}of {names[-1]}"[:64], names, now)
    server = issue_server_certificate(ca, names, now)
    write_private(aside.ca_key, ca.key)
    write_private(aside.server_certificate, server.certificate + server.key)
    write_private(aside.ca_certificate, ca.certificate, 0o644)


def _move(paths: list[Path], descriptor: int, directory: Path, moved: list[Path]) -> None:
    for path in paths:
        _settle(path)
        target = directory / path.name
        # Noted first: an interrupt between the two lines must not leave the file behind.
        moved.append(target)
        path.rename(target)
    os.fsync(descriptor)


def _settle(path: Path) -> None:
    """Has a file on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
