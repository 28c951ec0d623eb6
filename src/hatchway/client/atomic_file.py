"""A user's file written atomically, whole or not at all: the former one is there, or the new one."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a file, with the owner and mode of the one in whose place it comes.

    Args:
        text: surrogates are bytes that are no UTF-8 (PEP 383).
        mode: that of a file that was not there.

    Raises:
        OSError: it cannot be written, and is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.hatchway-{os.getpid()}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
            # Windows has neither owners nor modes of this kind.
            if os.name == "posix" and path.exists():
                there = path.stat()
                # Not by its name: where root does this in a user's directory, there may be a link by then.
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, there.st_uid, there.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
