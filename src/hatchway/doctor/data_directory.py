"""The data directory: its files, the keys, the store, the disk."""

import os
import pwd
import shlex
import shutil
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from cryptography import x509

from hatchway.doctor.findings import Finding, error, ok, unknown, warning
from hatchway.doctor.postgresql import check_postgresql
from hatchway.installation.installation import Installation, require_gateway_key
from hatchway.keys.key_files import KeyProblem
from hatchway.pki.certificates import UNREADABLE
from hatchway.privileges import read_as_owner
from hatchway.settings import DataDirectory

_MIB: Final = 1 << 20
_GIB: Final = 1 << 30
_LEAST_FREE: Final = _GIB
_FULL: Final = 16 * _MIB
"""With less, there may be none for the next commit: SQLite's log takes some megabytes."""
_LARGEST_LOOKED_THROUGH: Final = 2 * _GIB
"""Bytes of an SQLite store that is looked through: more would take minutes."""
_LONGEST_LOOK: Final = 10.0
"""Seconds for that."""


def check_files(directory: DataDirectory) -> Iterator[Finding]:
    """That nobody but their owner gets at the secrets, and that one user has them all.

    Keys may be root's while the rest is a service's user's: `serve --user` makes it so.
    """
    secret = (
        directory.store,
        directory.master_key,
        directory.gateway_key,
        directory.ca_key,
        directory.next_ca_key,
        directory.server_certificate,
        directory.machine,
        directory.store_location,
    )
    try:
        owner = directory.path.stat()
    except OSError as problem:
        yield error("files", f"{directory.path}: {problem.strerror}", "give the server's --data-dir")
        return
    if not stat.S_ISDIR(owner.st_mode):
        yield error("files", f"{directory.path} is not a directory", "give the server's --data-dir")
        return
    open_to_others = [
        (path, mode & ~beyond)
        for path, beyond in [(directory.path, 0o027), *((each, 0o077) for each in secret)]
        if (mode := _mode(path)) is not None and mode & beyond
    ]
    for path, mode in open_to_others:
        theft = 'if a stranger may have read it, see SECURITY.md, "What each theft yields"'
        if path.is_symlink():
            target = os.path.realpath(path)
            yield error(
                "files",
                f"{path} is a link to {target}, which other users of this machine can access",
                f"chmod {mode:o} {shlex.quote(target)}, unless somebody else has to read it: then replace"
                f" {path} by a copy with mode 600; {theft}",
            )
        else:
            yield error(
                "files",
                f"other users of this machine can access {path}",
                f"chmod {mode:o} {shlex.quote(str(path))}; {theft}",
            )
    # Where a link leads, whoever has made it has chosen whose it is.
    strangers = [
        path
        for path in secret
        if (uid := _owner(path)) is not None and uid not in (0, owner.st_uid) and not path.is_symlink()
    ]
    for path in strangers:
        yield error(
            "files",
            f"{path} belongs to {_user(_owner(path))}, but the directory to {_user(owner.st_uid)}",
            f"chown {_user(owner.st_uid)}: {shlex.quote(str(path))}",
        )
    if not open_to_others and not strangers:
        yield ok(
            "files",
            f"{directory.path} belongs to {_user(owner.st_uid)}, and nobody else can access its secrets",
        )


def check_disk(directory: DataDirectory) -> Iterator[Finding]:
    """A store without room opens no tunnels: nothing happens unrecorded."""
    try:
        free = shutil.disk_usage(directory.path).free
    except OSError as problem:
        yield unknown("disk", f"{directory.path}: {problem.strerror}")
        return
    seen = f"{free / _GIB:.1f} GiB are free on the disk of {directory.path}"
    if free < _FULL:
        yield error(
            "disk",
            f"the disk of {directory.path} is full: {free // _MIB} MiB are free",
            "free some space now: what cannot be recorded is not done, so no tunnel opens, and no call or"
            " command can change anything or revoke access. Running servers then continue by themselves",
        )
    elif free < _LEAST_FREE:
        yield warning("disk", seen, "free some space: a tunnel that cannot be recorded is not opened")
    else:
        yield ok("disk", seen)


def check_store(installation: Installation) -> Iterator[Finding]:
    """The store is sound and its clock, where it has one of its own, right. An open one has its schema and
    its master key already.

    Raises:
        SQLAlchemyError: it cannot be read.
    """
    engine = installation.store.engine
    if engine.dialect.name == "sqlite":
        yield from _check_sqlite(installation)
        return
    with engine.connect() as connection:
        yield from check_postgresql(connection)


def check_gateway_key(installation: Installation) -> Iterator[Finding]:
    """That it is there, where the store knows of one: no server starts without."""
    try:
        require_gateway_key(installation.directory, installation.store)
    except KeyProblem as problem:
        seen, _, advice = str(problem).partition(": ")
        yield error("gateway key", seen, advice)


def check_certificate_file(path: Path, now: datetime) -> Iterator[Finding]:
    """What is wrong with the certificate that the API shows, of which a client may be told something else: of
    one that is self-signed, not that it has ended."""
    check = "certificate"
    replace = "replace it and reload the server (SIGHUP)"
    try:
        certificate = x509.load_pem_x509_certificate(read_as_owner(path))
    except OSError as problem:
        yield error(
            check,
            f"{path}: {problem.strerror}",
            f"{replace}; until then the server uses the one it has loaded",
        )
        return
    except UNREADABLE:
        yield error(check, f"{path} contains no valid PEM certificate", replace)
        return
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    clock = "check this machine's clock; if it is right,"
    if end < now:
        yield error(check, f"{path} expired on {end:%Y-%m-%d}, so clients refuse it", f"{clock} {replace}")
    elif begin > now:
        seen = f"{path} is not valid before {begin:%Y-%m-%d %H:%M} UTC, and clients refuse it until then"
        yield error(check, seen, f"{clock} {replace}")


def _check_sqlite(installation: Installation) -> Iterator[Finding]:
    size = 0
    with suppress(OSError):
        size = installation.directory.store.stat().st_size
    whole = "has this version's schema and the right master key"
    if size > _LARGEST_LOOKED_THROUGH:
        yield ok("store", f"it opens, and {whole}")
        yield unknown(
            "store", f"its {size / _GIB:.1f} GiB were not checked for damage: 'hatchway backup' does that"
        )
        return
    until = time.monotonic() + _LONGEST_LOOK
    with installation.store.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.set_progress_handler(lambda: int(time.monotonic() > until), 100_000)
        try:
            answers = [str(row[0]) for row in connection.execute(sa.text("pragma quick_check(3)"))]
        except sa.exc.OperationalError as problem:
            if getattr(problem.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
                raise
            yield ok("store", f"it opens, and {whole}")
            yield unknown(
                "store", "checking all of it for damage would take too long: 'hatchway backup' does that"
            )
            return
        finally:
            raw.set_progress_handler(None, 0)
    if answers == ["ok"]:
        yield ok("store", f"it is undamaged, and {whole}")
    else:
        yield error("store", f"it is damaged: {answers[0]}", "restore a backup (docs/backup.md)")


def _mode(path: Path) -> int | None:
    status = _status(path)
    return None if status is None else stat.S_IMODE(status.st_mode)


def _owner(path: Path) -> int | None:
    status = _status(path)
    return None if status is None else status.st_uid


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _user(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return f"user {uid}"
