"""How many files a process may have open: each connection is one."""

import resource
from typing import Final

import structlog

_ENOUGH = 1 << 20
"""The most that the kernel lets a process have by default (proc(5), /proc/sys/fs/nr_open)."""
_OTHER_FILES: Final = 200
"""Open files other than clients' connections."""

log = structlog.get_logger("hatchway.transport")


def allow_open_files() -> int:
    """Raise the limit on open files of this process to its maximum (getrlimit(2)), and log it.

    The default is mostly 1,024, for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    if soft not in {most, resource.RLIM_INFINITY}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    log.info("open files", most=most)
    return most


def max_pending_for(open_files: int) -> int:
    """How many connections may be pending, given the limit on open files: those that have not sent a request
    yet.

    As many more remain for those that have.
    """
    return max(1, (open_files - _OTHER_FILES) // 2)
