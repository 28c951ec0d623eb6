"""What a test run could leave behind on this computer, looked at before and after."""

import contextlib
import socket
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.machines import PRIVATE_DIRECTORIES

_WATCHED: Final = (
    "/etc/hosts",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/ssh",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/hatchway",
    "/etc/hatchway-host",
    "/home/ec2-user",
    "/root/.ssh",
    "/usr/local/bin",
    "/usr/local/share/ca-certificates",
    "/var/lib/hatchway",
    "/var/lib/hatchway-host",
)

_OURS: Final = (*PRIVATE_DIRECTORIES, "/opt", "/proc", "/run")
"""What machines mount something over, or below."""


@dataclass(frozen=True)
class Outside:
    """What this computer is like, as far as a test run could change it."""

    interfaces: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[tuple[str, tuple[int, int, int] | None]]

    def changes(self, before: "Outside") -> list[str]:
        """What is not as it was `before`: interfaces, mounts and files that came, went or changed."""
        pairs = [
            (self.interfaces, before.interfaces),
            (self.mounts, before.mounts),
            (self.files, before.files),
        ]
        return sorted(f"{changed}" for now, then in pairs for changed in now ^ then)


def look_outside(directory: Path) -> Outside:
    """What this computer is like now.

    Args:
        directory: of this process of a test run. Mounts elsewhere, where no machine has any, and in others'
            directories for temporary files come and go.
    """
    mounts = [line.split()[3:6] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return Outside(
        interfaces=frozenset(name for _, name in socket.if_nameindex()),
        mounts=frozenset(" ".join(mount) for mount in mounts if not _is_another_s(Path(mount[1]), directory)),
        files=frozenset((path, _state(Path(path))) for path in _WATCHED),
    )


def processes_in(namespaces: Collection[str]) -> list[str]:
    """The processes that are in one of these namespaces, each as its id and command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end while we look
            theirs = {str(namespace.readlink()) for namespace in (process / "ns").iterdir()}
            if not theirs.isdisjoint(namespaces):
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append(f"{process.name} {words}")
    return found


def _is_another_s(mounted_on: Path, directory: Path) -> bool:
    if mounted_on.is_relative_to(directory):
        return False
    of_others = {directory.parent, Path(tempfile.gettempdir())}
    return not of_others.isdisjoint(mounted_on.parents) or not any(map(mounted_on.is_relative_to, _OURS))


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, PermissionError):
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
