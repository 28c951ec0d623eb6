"""Filling an empty directory with files: with all of them, or with none."""

import errno
import fcntl
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hatchway.errors import BadUsage, CommandFailed, reason
from hatchway.store import explain

_ASIDE: Final = ".unfinished-"
_NAMES: Final = ".names"
"""In that directory, once files begin to come into their places: what they are called, each in a line."""
_LONGEST_NAMES: Final = 4096
_FULL: Final = "its disk is full: free some space there, or give a directory on another"
OF_THE_FILE_SYSTEM: Final = "lost+found"
"""What an empty ext4 has."""


@contextmanager
def filled_directory(
    directory: Path, *, last: str, owner: tuple[int, int] | None = None, keeps: str = ""
) -> Iterator[Path]:
    """A directory in the one to be filled, for files that come into their places when the block ends well.

    The one to be filled is made if there is none, and is its owner's alone. The file called `last` comes into
    its place after all others: without it nobody takes the directory for filled. Of a block that raises or is
    interrupted nothing is left; what one that was killed has left, the next takes away.

    Args:
        owner: the user and group that get the files, and the directory if it is new; None for who runs this.
        keeps: a file there that is left as it is: what the block remembers beyond a failure.

    Raises:
        BadUsage: it is no directory.
        CommandFailed: it is not empty, or another fills it.
        OSError: it cannot be filled.
    """
    if directory.exists() and not directory.is_dir():
        raise BadUsage(f"{directory} is not a directory")
    fresh = not directory.exists()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    moved: list[Path] = []
    aside: Path | None = None
    made: int | None = None
    try:
        _lock(descriptor, directory)
        _clear(directory, keeps, last)
        os.fchmod(descriptor, 0o700)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=directory))
        made = _opened(aside)
        yield aside
        names = _settled(made, last, owner)
        _note(made, names)
        for name in names:
            # Noted first: an interrupt between the two lines must not leave the file behind.
            moved.append(directory / name)
            os.rename(name, name, src_dir_fd=made, dst_dir_fd=descriptor)
        _sync(descriptor)
    except BaseException:
        for path in reversed(moved):
            path.unlink(missing_ok=True)
        raise
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        if fresh and not any(directory.iterdir()):
            directory.rmdir()
        elif fresh and owner is not None:
            os.fchown(descriptor, *owner)
        if made is not None:
            os.close(made)
        os.close(descriptor)


@contextmanager
def replaced_files(directory: Path, *, last: str, keeps: str, instead_of: Sequence[str]) -> Iterator[Path]:
    """A directory in one that is in use, for files that take the places of those there when the block ends
    well.

    They become the directory's owner's. Those of `instead_of` that the block has not made are deleted. Of a
    block that raises nothing is left; one that is killed while the files take their places has to be done
    again, which `last` tells: it is the former one until all others are in theirs.

    Raises:
        CommandFailed: another fills it.
        OSError: it cannot be done.
    """
    status = directory.stat()
    owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    aside: Path | None = None
    made: int | None = None
    try:
        _lock(descriptor, directory)
        for path in _left_behind(directory, keeps):
            _remove(path)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=directory))
        made = _opened(aside)
        # Servers run there, and its owner may be in wrong hands: this leads nowhere else than there.
        by_descriptor = Path(f"/proc/self/fd/{made}")
        yield by_descriptor if by_descriptor.exists() else aside
        names = _settled(made, last, owner)
        for name in instead_of:
            if name not in names:
                (directory / name).unlink(missing_ok=True)
        for name in names:
            os.replace(name, name, src_dir_fd=made, dst_dir_fd=descriptor)
        _sync(descriptor)
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
        if made is not None:
            os.close(made)
        os.close(descriptor)


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Tells of a directory that cannot be filled as `what`, and why.

    Raises:
        CommandFailed: in the place of an OSError, or one of SQLite's.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as problem:
        raise CommandFailed(f"{what}: {_why(problem)}") from problem


def _why(problem: OSError | sqlite3.Error) -> str:
    if isinstance(problem, OSError):
        return _FULL if problem.errno in {errno.ENOSPC, errno.EDQUOT} else reason(problem)
    full = getattr(problem, "sqlite_errorname", "") == "SQLITE_FULL"
    return _FULL if full else explain(problem) or str(problem)


def _sync(directory: int) -> None:
    try:
        os.fsync(directory)
    except OSError as problem:
        # Some file systems over a network have it for files alone (fsync(2)).
        if problem.errno != errno.EINVAL:
            raise


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandFailed(
            f"another command is writing to {directory}: wait until it ends, or give another directory"
        ) from None


def refuse_others(directory: Path, names: Sequence[str]) -> None:
    """
    Args:
        names: what lies in the directory that the command knows nothing of.

    Raises:
        CommandFailed: there is something.
    """
    if names:
        some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
        raise CommandFailed(
            f"{directory} is not empty, it contains {some}: give an empty directory, or one that does not"
            " exist yet"
        )


def _clear(directory: Path, keeps: str, last: str) -> None:
    """
    Raises:
        CommandFailed: there is more than what a killed command has left.
    """
    placed = _placed(directory, keeps, last)
    left = sorted(path for path in directory.iterdir() if path.name != OF_THE_FILE_SYSTEM)
    others = [path.name for path in left if not path.name.startswith(_ASIDE) and path.name not in placed]
    refuse_others(directory, others)
    # Before that by which they are known.
    for name in placed:
        (directory / name).unlink(missing_ok=True)
    for path in _left_behind(directory, keeps):
        _remove(path)


def _note(aside: int, names: Sequence[str]) -> None:
    """Writes down what will come into its place: where this is killed, the next command knows it by that."""
    descriptor = os.open(_NAMES, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=aside)
    with os.fdopen(descriptor, "wb") as file:
        file.write("\n".join(names).encode())
        file.flush()
        os.fsync(descriptor)


def _placed(directory: Path, keeps: str, last: str) -> frozenset[str]:
    """The files that a command which was killed has put into their places, the `last` one not among them."""
    if os.path.lexists(directory / last):
        return frozenset()
    placed: set[str] = set()
    for aside in _left_behind(directory, keeps):
        with suppress(OSError):
            descriptor = os.open(aside / _NAMES, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                noted = file.read(_LONGEST_NAMES).decode(errors="replace").split("\n")
            # What is still there has not come into its place.
            placed |= {name for name in noted if "/" not in name and not _mode(aside / name)}
    return frozenset(name for name in placed if stat.S_ISREG(_mode(directory / name)))


def _mode(path: Path) -> int:
    """What stat(2) calls so; 0 where there is nothing."""
    try:
        return path.lstat().st_mode
    except (OSError, ValueError):
        return 0


def _left_behind(directory: Path, keeps: str) -> list[Path]:
    """What a command that was killed has left, but what it remembers."""
    return [path for path in directory.glob(f"{_ASIDE}*") if path.name != keeps]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _opened(aside: Path) -> int:
    """A descriptor of a directory that was just made, by which its files are found whatever its name leads to
    by then: where root makes it in a directory of another's, that one may rename it and put a link there.

    Raises:
        CommandFailed: it is another already.
    """
    descriptor = os.open(aside, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if os.fstat(descriptor).st_uid != os.geteuid():
        os.close(descriptor)
        raise CommandFailed(f"somebody else has put {aside} in the place of what was just made there")
    return descriptor


def _settled(aside: int, last: str, owner: tuple[int, int] | None) -> list[str]:
    """The names of the files there, the `last` one last, when all are their owner's and on the disk.

    Raises:
        CommandFailed: there is something else, which is none of what was made.
    """
    names = sorted(os.listdir(aside), key=lambda name: (name == last, name))
    for name in names:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=aside)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                raise CommandFailed(f"somebody else has put {name} among what was being made")
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return names
