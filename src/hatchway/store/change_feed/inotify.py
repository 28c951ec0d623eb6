"""Being told that a file is written to (inotify(7)), where the system can tell."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_MODIFY: Final = 0x002
_ATTRIB: Final = 0x004
"""Among others, a file's last name has gone."""
_DELETE_SELF: Final = 0x400
_MOVE_SELF: Final = 0x800

_READ_BYTES: Final = 64 * 1024


class Inotify:
    """Of one path; its owner closes it. `descriptor` can be read as long as something is to be told."""

    def __init__(self) -> None:
        """
        Raises:
            OSError: the system tells nobody of files, or no more of this user's processes (inotify(7):
                `max_user_instances`).
        """
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.descriptor = int(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:
            raise OSError("this system has no inotify") from None
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def begin(self, path: Path) -> bool:
        """Forget what there was to be told, and tell from now on of the file that has this path now, also if
        it is another than before. Gives whether there is such a file, and room to watch it."""
        events = _MODIFY | _ATTRIB | _DELETE_SELF | _MOVE_SELF
        watched = self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), events)
        # Equal events that follow each other are one, so that there are never many.
        with suppress(BlockingIOError):
            os.read(self.descriptor, _READ_BYTES)
        return bool(watched >= 0)

    def close(self) -> None:
        os.close(self.descriptor)
