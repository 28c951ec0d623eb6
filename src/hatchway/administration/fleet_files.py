"""Fleet files on the disk, with the policies' files that they name."""

import os
import stat
from pathlib import Path
from typing import Final

from hatchway.fleet import BadFleet, Fleet, Problem, parse_fleet
from hatchway.fleet.policy_documents import ReadFile
from hatchway.fleet.text import MAX_BYTES

MAX_FILE_BYTES: Final = 1024 * 1024


def load_fleet(path: Path) -> Fleet:
    """The fleet that a file declares; its policies' paths are relative to the file.

    Raises:
        BadFleet: the file cannot be read, or something in it is wrong; it holds every problem.
    """
    return parse_fleet(read_fleet_file(path), files_in(path.parent))


def read_fleet_file(path: Path) -> bytes:
    """The file's content, cut after what a fleet file may have, and a byte: its reader refuses it then.

    Raises:
        BadFleet: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        # On one line, and whole: its end is its name.
        raise BadFleet([Problem(repr(str(path))[1:-1], f"cannot be read: {error.strerror}")]) from None


def files_in(directory: Path) -> ReadFile:
    """Reads policies' files by paths relative to a directory: regular files of at most a mebibyte."""

    def read(path: str) -> bytes:
        # Not blocking, so that a pipe is refused rather than waited for.
        descriptor = os.open(directory / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("is not a regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
        if len(content) > MAX_FILE_BYTES:
            raise OSError(f"has more than {MAX_FILE_BYTES} bytes")
        return content

    return read
