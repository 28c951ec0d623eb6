"""What the API answered a moment ago, for as long as it says that this may be remembered.

A file for each question, its owner's alone, named by the API, the region, the access key and what was asked:
nobody is led by what another was told, or by what an older key could see. What is out of date costs one
attempt, after which it is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hatchway.client.discovery import TunnelOptions
    from hatchway.client.profile import Profile

LONGEST: Final = 3600
"""Seconds for which anything is remembered, whatever the server says."""

_SIZE_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Found:
    """What stands for a host."""

    endpoint_id: str
    dns_name: str
    address: str
    port: int
    instance_id: str | None


class Memory:
    """Of one caller's question."""

    def __init__(self, profile: Profile, options: TunnelOptions) -> None:
        whose = [profile.endpoint_url("ec2"), profile.region, profile.credentials().access_key_id]
        asked = json.dumps([whose, asdict(options)], sort_keys=True)
        self._path = _directory() / hashlib.sha256(asked.encode()).hexdigest()
        self.recalled = False
        """Whether something was."""

    def recall(self) -> Found | None:
        """What is still good."""
        try:
            # Of another user, or for others to write, it would be no memory of ours.
            if os.name == "posix":
                seen = self._path.parent.lstat()
                if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
                    return None
            with self._path.open("rb") as file:
                kept = json.loads(file.read(_SIZE_LIMIT))
            now = time.time()
            if not now < float(kept.pop("until")) <= now + LONGEST:
                return None
            found = Found(**kept)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None
        self.recalled = True
        return found

    def keep(self, found: Found, seconds: float) -> None:
        """Remember it, if that can be."""
        if seconds <= 0:
            return
        with suppress(OSError):
            directory = self._path.parent
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _clear(directory)
            text = json.dumps({**asdict(found), "until": time.time() + min(seconds, LONGEST)})
            number, name = tempfile.mkstemp(dir=directory)
            with open(number, "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(text)
            Path(name).replace(self._path)

    def forget(self) -> None:
        """Have it asked anew."""
        self.recalled = False
        with suppress(OSError):
            self._path.unlink()


def _directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return Path(base, "hatchway", "answers")


def _clear(directory: Path) -> None:
    """Nothing in it is good for longer than `LONGEST`."""
    before = time.time() - LONGEST
    for path in directory.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
