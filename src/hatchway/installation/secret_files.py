"""The data directory's files as secrets: made for their owner alone, and kept so."""

import errno
import os
import pwd
import secrets
import stat
from pathlib import Path
from typing import Final

from hatchway.errors import CommandFailed
from hatchway.keys.key_files import GATEWAY_KEY, KEY_BYTES, KeyKind, key_text, new_key, read_keys
from hatchway.settings import DataDirectory

_OTHERS: Final = 0o077
_NOT_EVEN_A_GROUP: Final = 0o027
"""Of the directory: a group, such as that of who ships the audit log, may look into it."""


def make_key(kind: KeyKind, path: Path) -> bytes:
    """A new key in a new file, unless the environment gives one."""
    return read_keys(kind, path, os.environ).seals if kind.variable in os.environ else new_key(path)


def put_file(path: Path, content: bytes, *, like: Path) -> None:
    """Puts a file in its place, whole or not at all, with the mode and the owner that another one has.

    Raises:
        OSError: it cannot be written.
    """
    model = like.lstat()
    if not stat.S_ISREG(model.st_mode):
        # A link's file has a mode and an owner that whoever put it there has chosen.
        raise OSError(errno.ELOOP, "is a link, or not a regular file: put the file itself there", str(like))
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, stat.S_IMODE(model.st_mode))
            if (model.st_uid, model.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, model.st_uid, model.st_gid)
            os.fsync(descriptor)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def replace_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Puts a file in the place of the one there may be: at no moment there is half of one.

    Raises:
        OSError: it cannot be written.
    """
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    write_private(aside, content, mode)
    aside.replace(path)


def write_private(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Makes a file, which is the directory's owner's when root does.

    By then that owner may have put another in its place: nothing is done by its name.

    Raises:
        OSError: it cannot be made, or is there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            # A server that root starts becomes another user, to whom the directory belongs.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def ensure_gateway_key(directory: DataDirectory) -> bool:
    """Makes the gateway key of an installation that has none; whether it did.

    Raises:
        CommandFailed: it cannot be written.
    """
    path = directory.gateway_key
    if GATEWAY_KEY.variable in os.environ or os.path.lexists(path):
        return False
    made = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        write_private(made, key_text(os.urandom(KEY_BYTES)))
        # Another process may be doing the same: the first is the one.
        os.link(made, path, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as problem:
        raise CommandFailed(f"cannot create {path}: {problem.strerror}") from problem
    finally:
        made.unlink(missing_ok=True)
    return True


def repair_modes(directory: DataDirectory) -> list[str]:
    """Takes away what others may do with the directory and its files; a line for each that was open.

    The keys' modes are not repaired: whoever finds one open must know, and `read_keys` refuses it.

    Raises:
        CommandFailed: the directory is none, or what is open is not ours to close.
    """
    closed = []
    files = [directory.store, Path(f"{directory.store}-wal"), Path(f"{directory.store}-shm")]
    for path, others in [(directory.path, _NOT_EVEN_A_GROUP)] + [
        (each, _OTHERS) for each in (*files, directory.server_certificate)
    ]:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as problem:
            # A link is followed by whoever uses it; its file's mode is for who has put it there.
            if problem.errno == errno.ELOOP:
                continue
            raise CommandFailed(
                f"{path} cannot be read ({problem.strerror}): run this as root or as the server's user"
            ) from problem
        try:
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if path == directory.path and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise CommandFailed(f"{path} is not a directory: give another --data-dir")
            if mode & others:
                os.fchmod(descriptor, mode & ~others)
                closed.append(
                    f"{path} was accessible to others (mode {mode:04o}); its mode is now {mode & ~others:04o}"
                )
        except PermissionError as problem:
            raise CommandFailed(
                f"{path} is accessible to others (mode {mode:04o}): run chmod {mode & ~others:o} {path}"
                " as its owner"
            ) from problem
        finally:
            os.close(descriptor)
    return closed


def restrict_to_root(user: str, directory: DataDirectory) -> list[str]:
    """Makes the master key and the CA's root's own, when root starts processes that become this user.

    They are read, or used, before that. So the user's processes, gateways above all, cannot read them. A line
    for each file that became root's.
    """
    if os.geteuid() != 0 or pwd.getpwnam(user).pw_uid == 0:
        return []
    taken = []
    for path in (directory.master_key, directory.ca_key, directory.next_ca_key):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            # Not there, which may be as it should; or a link, and then whoever reads it says so.
            continue
        try:
            status = os.fstat(descriptor)
            if stat.S_ISREG(status.st_mode) and (status.st_uid, status.st_gid) != (0, 0):
                os.fchown(descriptor, 0, 0)
                taken.append(f"{path} now belongs to root, so that no process of {user} can read it")
        except OSError as problem:
            raise CommandFailed(f"cannot give {path} to root: {problem.strerror}") from problem
        finally:
            os.close(descriptor)
    return taken
