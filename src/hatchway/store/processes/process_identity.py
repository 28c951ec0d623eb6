"""A process's name among all machines, by which another on the same machine can tell that it is gone.

Its parts are what has to be the same for that: the machine since it was booted, the namespace of process ids
and the user, as a process may not see those of others (proc(5): `hidepid`). Then those of the process: its
id, and when it began, for ids are used again.
"""

import os
import socket
from pathlib import Path
from secrets import token_hex
from typing import Final

_SEPARATOR: Final = "/"
_STARTED: Final = 19
"""The field `starttime` of /proc/PID/stat, counted from the one behind the command's name (proc(5))."""


def own_identity() -> str:
    """This process's. No two are alike, also where the system tells nothing."""
    started = _started(os.getpid()) or "0"
    parts = (socket.gethostname()[:64], _boot(), _namespace(), str(os.getuid()), str(os.getpid()), started)
    return _SEPARATOR.join((*parts, token_hex(4)))


def is_gone(identity: str, *, alone: bool = False) -> bool:
    """Whether that process does not run any more, for certain.

    Args:
        alone: whether it ran on this machine, whenever that was booted.
    """
    parts = identity.split(_SEPARATOR)
    if len(parts) != 7:
        return False
    _, boot, namespace, uid, pid, started, _ = parts
    if not boot or not namespace or not pid.isdecimal():
        return False
    if alone and boot != _boot():
        return True
    if (boot, namespace, uid) != (_boot(), _namespace(), str(os.getuid())):
        return False
    return _started(int(pid)) != started


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the machine was booted; None when there is none, or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[_STARTED]
