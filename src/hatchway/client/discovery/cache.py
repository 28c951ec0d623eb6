"""A cache on the disk: what the API answered a moment ago, for as long as it says that it may be kept.

A file for each question, its owner's alone, named by the API, the region, the access key and what was asked:
nobody is led by what another was told, or by what an older key could see. What is out of date costs one
attempt, after which it is forgotten. One file more for each caller has what was found last, whatever was
asked: most hosts are reached by the same gateways.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from hatchway.client.api.profile import Profile
    from hatchway.client.discovery.discovery import TunnelOptions

LONGEST: Final = 3600
"""Seconds for which anything is remembered, whatever the server says."""

REFUSED_FOR: Final = 300
"""Seconds for which an endpoint that refused is tried after the others."""

_SIZE_LIMIT: Final = 4096


class Place(NamedTuple):
    """An endpoint, and the address of the host that it reaches."""

    endpoint_id: str
    dns_name: str
    address: str


class Found(NamedTuple):
    """What stands for a host: the places that lead to it, the one to be tried first before the others."""

    places: tuple[Place, ...]
    port: int
    instance_id: str | None


class AnswerCache:
    """What was answered to one caller's question."""

    def __init__(self, profile: Profile, options: TunnelOptions) -> None:
        whose = [profile.endpoint_url("ec2"), profile.region, profile.credentials().access_key_id]
        asked = json.dumps([whose, options._asdict()], sort_keys=True)
        self._path = _directory() / hashlib.sha256(asked.encode()).hexdigest()
        self._last = _directory() / hashlib.sha256(json.dumps(["last", *whose]).encode()).hexdigest()
        self.recalled = False
        """Whether something was."""
        self.outdated: Found | None = None
        """What was good the last time, where it has been recalled and is not any more; of another question,
        where nothing is known of this one."""

    def recall(self) -> Found | None:
        """What is still good."""
        found, good = _found(self._path)
        if not good:
            self.outdated = found or _found(self._last)[0]
            return None
        self.recalled = True
        return found

    def keep(self, found: Found, seconds: float) -> None:
        """Remember it, if that can be."""
        if seconds <= 0:
            return
        what = {**found._asdict(), "until": time.time() + min(seconds, LONGEST)}
        with suppress(OSError):
            _keep(self._path, what)
            _keep(self._last, what)

    def forget(self) -> None:
        """Have it asked anew."""
        self.recalled = False
        with suppress(OSError):
            self._path.unlink()


class Refusals:
    """The endpoints that have refused a caller of late, which are tried after the others. Whoever asks next
    may be another process: ssh's, whose ProxyCommand was refused."""

    def __init__(self, region: str, access_key_id: str) -> None:
        self._whose = [region, access_key_id]

    def __contains__(self, endpoint_id: str) -> bool:
        try:
            return _kept(self._path(endpoint_id))[1]
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return False

    def add(self, endpoint_id: str) -> None:
        with suppress(OSError):
            _keep(self._path(endpoint_id), {"until": time.time() + REFUSED_FOR})

    def _path(self, endpoint_id: str) -> Path:
        name = json.dumps(["refused", *self._whose, endpoint_id])
        return _directory() / hashlib.sha256(name.encode()).hexdigest()


def _found(path: Path) -> tuple[Found | None, bool]:
    """What a file holds, if anything, and whether that is still good."""
    try:
        kept, good = _kept(path)
        found = Found(tuple(Place(*each) for each in kept["places"]), kept["port"], kept["instance_id"])
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None, False
    return (found, good) if found.places else (None, False)


def _kept(path: Path) -> tuple[dict[str, Any], bool]:
    """What a file of ours holds, and whether that is still good.

    Raises:
        OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError: it holds nothing of ours.
    """
    # Of another user, or for others to write, it would be no cache of ours.
    if not _is_ours_alone(path.parent):
        raise ValueError("others may have written it")
    with path.open("rb") as file:
        kept: dict[str, Any] = json.loads(file.read(_SIZE_LIMIT))
    now = time.time()
    return kept, now < float(kept.pop("until")) <= now + LONGEST


def _keep(path: Path, what: dict[str, Any]) -> None:
    """
    Raises:
        OSError: it cannot be written.
    """
    directory = path.parent
    if not directory.is_absolute():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Files are removed in it, and it may be a link of somebody else's to anywhere.
    if not _is_ours_alone(directory):
        return
    _clear(directory)
    # `tempfile` takes longer to load than a tunnel may wait for this.
    new = directory / os.urandom(16).hex()
    number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "wb") as file:  # noqa: PTH123
        file.write(json.dumps(what).encode("ascii"))
    new.replace(path)


def _is_ours_alone(directory: Path) -> bool:
    """Whether nobody else can have written what is there.

    Raises:
        OSError: there is none.
    """
    if os.name != "posix":
        return directory.is_absolute()
    seen = directory.lstat()
    ours = stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.geteuid() and not seen.st_mode & 0o077
    return ours and directory.is_absolute()


def _directory() -> Path:
    """Relative where the user has no home: then nothing is remembered."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")  # noqa: PTH111, PTH118
    return Path(base, "hatchway", "answers")


def _clear(directory: Path) -> None:
    """Nothing in it is good for longer than `LONGEST`."""
    before = time.time() - LONGEST
    for path in directory.iterdir():
        with suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()
