"""Root's privileges: dropped for good once the ports are bound, or left aside for what another user's
directory has.

A client loads this too, also where there is no user database (`pwd`).
"""

import ctypes
import errno
import os
import signal
import stat
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CAP_NET_RAW: Final = 13
"""To connect from another's address, and to make raw and packet sockets."""

_LARGEST: Final = 1 << 20
"""Bytes of a file of certificates, or of what a server has noted."""
_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_KEEPCAPS: Final = 8
_CAPABILITY_VERSION_3: Final = 0x20080522


def become(user: str, *, keep: int | None = None) -> None:
    """Turns this process into one of an ordinary user: its groups, no capability, and no way back.

    `keep` is the number of a capability that the calling thread, and those that it starts, keep all the same
    if it is theirs.

    Without effect on the user when it is that user already. What had been bound and opened stays open.

    Raises:
        KeyError: there is no such user.
        PermissionError: this process is neither root's nor that user's.
    """
    import pwd

    entry = pwd.getpwnam(user)
    parent = os.getppid()
    death_signal = _death_signal()
    if os.geteuid() != entry.pw_uid or os.getuid() != entry.pw_uid:
        kept = keep if keep is not None and _has_capability(keep) else None
        if kept is not None:
            _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups(os.getgrouplist(user, entry.pw_gid))
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        # With the last of root's user ids the kernel takes all capabilities (capabilities(7)).
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
        if kept is not None:
            _set_capability(kept)
        _tell_of_unreadable_program(user)
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        # The kernel forgets it when a process changes its user (prctl(2)).
        _prctl(_PR_SET_PDEATHSIG, death_signal)
        if death_signal and os.getppid() != parent:
            os.kill(os.getpid(), death_signal)


def _tell_of_unreadable_program(user: str) -> None:
    """As where it is installed in root's home: what is loaded later fails, wherever that is."""
    unreadable = [file for file in (os.__file__, __file__) if not os.access(file, os.R_OK)]
    # If it is not loaded yet, it cannot be any more.
    if unreadable and "structlog" in sys.modules:
        import structlog

        structlog.get_logger("hatchway.privileges").warning(
            "program may not be read",
            file=unreadable[0],
            user=user,
            problem="what is loaded later fails: install it, and its Python, where that user may read (/opt)",
        )


_of_process = threading.RLock()
"""Groups and HOME are the whole process's: two threads would each put back what the other had set."""


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """What root opens meanwhile in this thread, it opens as the user to whom the directory belongs.

    For what lies in a directory of another user, who may have put a link there, or another file a moment ago:
    it leads to nothing that he could not open himself. The thread stays root's but for files (setfsuid(2)),
    so nobody else can touch it. Without effect where this is not root, or the directory root's own.

    Raises:
        PermissionError: root may become no other user here.
    """
    owner = _other_owner(directory)
    if owner is None:
        yield
        return
    with _of_process:
        yield from _as_user(*owner, directory)


def read_as_owner(path: Path, directory: Path | None = None) -> bytes:
    """What a small file holds, such as one of certificates, opened as `as_owner_of` says.

    Args:
        directory: whose owner's rights to go by; that which the file is in without one.

    Raises:
        OSError: it cannot be read, is no file, or is larger than such files are.
    """
    with as_owner_of((path.parent if directory is None else directory).absolute()):
        # A pipe in its place would never open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no file: put the file itself there", str(path))
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _as_user(uid: int, gid: int, home: str | None, directory: Path) -> Iterator[None]:
    import pwd

    libc, groups, home_before = _libc(), os.getgroups(), os.environ.get("HOME")
    # Root's would open what is its groups'.
    os.setgroups(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid) if home is not None else [gid])
    gid_before, uid_before = libc.setfsgid(gid), libc.setfsuid(uid)
    try:
        if (libc.setfsuid(-1), libc.setfsgid(-1)) != (uid, gid):
            raise PermissionError(f"cannot open files as the user to whom {directory} belongs")
        # Where libraries look for files of theirs, such as libpq for passwords.
        os.environ["HOME"] = home or "/nonexistent"
        yield
    finally:
        libc.setfsuid(uid_before)
        libc.setfsgid(gid_before)
        os.setgroups(groups)
        if home_before is None:
            os.environ.pop("HOME", None)
        else:
            os.environ["HOME"] = home_before


def _other_owner(directory: Path) -> tuple[int, int, str | None] | None:
    """The user and the group as who root is to open what is there, and his home if he has one; None for as
    itself."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return None
    import pwd

    try:
        status = directory.stat()
    except OSError:
        # Nothing is there to be opened.
        return None
    if status.st_uid == 0:
        return None
    try:
        entry = pwd.getpwuid(status.st_uid)
    except KeyError:
        # As in a container, whose users need no names.
        return status.st_uid, status.st_gid, None
    return entry.pw_uid, entry.pw_gid, entry.pw_dir


def _has_capability(number: int) -> bool:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return bool(int(fields["CapPrm"], 16) >> number & 1)


def _set_capability(number: int) -> None:
    """Makes this the only capability that the thread has, in effect and by permission (capset(2))."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", 1 << number, 1 << number, 0, 0, 0, 0)
    if _libc().capset(header, data) != 0:
        problem = ctypes.get_errno()
        raise OSError(problem, os.strerror(problem))


def _death_signal() -> int:
    """The signal that this process gets when its parent dies; 0 for none."""
    if not sys.platform.startswith("linux"):
        return 0
    number = ctypes.c_int(0)
    _libc().prctl(_PR_GET_PDEATHSIG, ctypes.byref(number), 0, 0, 0)
    return signal.Signals(number.value) if number.value else 0


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
