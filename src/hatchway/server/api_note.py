"""Which of the control planes of one data directory has noted where its API is, for commands that write
profiles and scripts."""

import fcntl
import os
import threading
from pathlib import Path
from typing import Final

import structlog

from hatchway.errors import reason
from hatchway.installation.api_location import ApiLocation
from hatchway.settings import DataDirectory

log = structlog.get_logger("hatchway.server")

_OPENED: Final = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ApiNote:
    """The note of one process, which is held (flock(2)) for as long as that lives.

    Another control plane that starts on the same data directory leaves it alone, and notes its own when the
    first has ended, however that ended. Processes that have the same to say hold one note together.
    """

    def __init__(self, location: ApiLocation, directory: DataDirectory) -> None:
        self._location = location
        self._directory = directory
        self._held: int | None = None

    def put(self) -> None:
        """Puts it down, now or as soon as nobody who lives has noted anything else.

        Raises:
            OSError: it cannot be written now.
        """
        if self._take(wait=False):
            return
        log.warning(
            "another control plane of this data directory has noted where its API is: commands use that one",
            until="it has ended",
            noted=ApiLocation.read(self._directory).url,
            not_noted=self._location.url,
        )
        threading.Thread(target=self._wait, name="api note", daemon=True).start()

    def close(self) -> None:
        """Lets others note theirs. The end of the process does the same."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _wait(self) -> None:
        try:
            self._take(wait=True)
        except OSError as problem:
            log.warning("cannot note where this API is", reason=reason(problem))
        else:
            log.info("noted where this API is: the other control plane has ended", url=self._location.url)

    def _take(self, *, wait: bool) -> bool:
        """Whether the note is this process's now; it is in the end, if it may wait for others."""
        path, own = self._directory.api_location, self._location.written()
        while True:
            if path.is_symlink():
                path.unlink(missing_ok=True)
            descriptor = os.open(path, _OPENED, 0o644)
            try:
                same = os.read(descriptor, len(own) + 1) == own
                if not _lock(
                    descriptor, fcntl.LOCK_SH if same else fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
                ):
                    self._location.write(self._directory)
                    return True
                # While this one waited another file may have come into its place, or none.
                if not _is_at(path, descriptor):
                    continue
                if same:
                    self._held, descriptor = descriptor, -1
                    return True
                self._location.write(self._directory)
            except BlockingIOError:
                return False
            finally:
                if descriptor >= 0:
                    os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _lock(descriptor: int, operation: int) -> bool:
    """Whether it is locked now; False where the file system has no such locks, as some networks' have none
    and NFS none of a file that is open for reading alone (flock(2)).

    Raises:
        BlockingIOError: another holds it.
    """
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
