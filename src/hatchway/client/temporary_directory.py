"""Directories for the files that one command needs, a key among them, and no other does.

Each goes with its command. Of one that was killed (SIGKILL) a later `hatchway ssh` removes it: a command that
lives holds a lock in it, which its end alone gives back.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX: Final = "hatchway-"
_HELD: Final = "held-while-needed"
"""The file that is locked. A directory that has none is none of ours."""

_YOUNG: Final = 60.0
"""Seconds in which a command has the lock that has made the file."""


@contextmanager
def temporary_directory(place: str | None = None, *, tidies: bool = False) -> Iterator[Path]:
    """A directory, its owner's alone, that is there within this.

    Args:
        place: the directory in which it is made; None for where all others are.
        tidies: whether those of commands that were killed are removed in the end.

    Raises:
        OSError: it cannot be made.
    """
    held = None
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place) as made:
            held = _hold(Path(made, _HELD))
            yield Path(made)
    finally:
        if held is not None:
            os.close(held)
        if tidies:
            _remove_abandoned(place or tempfile.gettempdir())


def _hold(path: Path) -> int | None:
    """Has this process, and those that are forked from it, hold a new file; None where that cannot be."""
    try:
        import fcntl
    except ImportError:
        # Windows has none.
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor
    # A file system without locks: it must not seem to be abandoned.
    os.close(descriptor)
    path.unlink()
    return None


def _remove_abandoned(place: str) -> None:
    """What it cannot tell, or may not remove, stays."""
    with suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX) and _is_abandoned(entry.path):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_abandoned(directory: str) -> bool:
    try:
        import fcntl

        seen = os.lstat(directory)
        if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            return False
        descriptor = os.open(os.path.join(directory, _HELD), os.O_RDWR | os.O_NOFOLLOW)  # noqa: PTH118
    except (ImportError, OSError):
        return False
    try:
        if os.fstat(descriptor).st_mtime > time.time() - _YOUNG:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
