"""How many files a process may have open: each connection is one."""

import resource
from typing import Final

import structlog

_ENOUGH = 1 << 20
"""The most that the kernel lets a process have unless told otherwise (proc(5), /proc/sys/fs/nr_open)."""
_OTHER_FILES: Final = 200
"""Open ones that are no client's connection."""

log = structlog.get_logger("hatchway.transport")


def allow_open_files() -> int:
    """Lets this process have as many files open as it ever may (getrlimit(2)), and says how many in the log.

    What starts it mostly leaves it with 1,024, for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft not in {most, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    log.info("open files", most=most)
    return most


def max_pending_for(open_files: int) -> int:
    """How many connections may be pending, by the limit on open files: such as have not sent a request yet.

    As many more are left for those that have.
    """
    return max(1, (open_files - _OTHER_FILES) // 2)
