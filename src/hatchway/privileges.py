"""Root's privileges, and letting them go for good once the ports are bound."""

import ctypes
import os
import pwd
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_GET_PDEATHSIG: Final = 2
_PR_SET_NO_NEW_PRIVS: Final = 38


def become(user: str) -> None:
    """Turns this process into one of an ordinary user: its groups, no capability, and no way back.

    Without effect on the user when it is that user already. What had been bound and opened stays open.

    Raises:
        KeyError: there is no such user.
        PermissionError: this process is neither root's nor that user's.
    """
    entry = pwd.getpwnam(user)
    parent = os.getppid()
    death_signal = _death_signal()
    if os.geteuid() != entry.pw_uid or os.getuid() != entry.pw_uid:
        os.setgroups(os.getgrouplist(user, entry.pw_gid))
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        # With the last of root's user ids the kernel takes all capabilities (capabilities(7)).
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        # The kernel forgets it when a process changes its user (prctl(2)).
        _prctl(_PR_SET_PDEATHSIG, death_signal)
        if death_signal and os.getppid() != parent:
            os.kill(os.getpid(), death_signal)


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
