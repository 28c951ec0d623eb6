"""The user and the port that OpenSSH's own configuration has for a host, as ssh itself would take them.

Only what the user's own files say of the word that he typed: what `hatchway ssh-config` has written goes by
names that others give to instances, so it is left out. ssh is asked (`ssh -G`) only where a file speaks of a
user or a port at all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from hatchway.client.ssh.ssh_line import values_of
from hatchway.client.temporary_directory import temporary_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatchway.client.ssh.ssh_line import SshLine

SYSTEM_CONFIG: Final = Path("/etc/ssh/ssh_config")

_SPOKEN_OF: Final = re.compile(rb'^[\s"]*(?:user|port)[\s"=]', re.IGNORECASE | re.MULTILINE)
_INCLUDED: Final = re.compile(rb'^[\s"]*include[\s"=]+(.*)$', re.IGNORECASE | re.MULTILINE)
_FINAL: Final = re.compile(rb'^[\s"]*match\b.*\bfinal\b', re.IGNORECASE | re.MULTILINE)
"""What ssh reads once more for, when it has read all."""

_WORD: Final = re.compile(rb'"([^"]*)"|([^\s"]+)')
_OURS: Final = b"# Hatchway's hosts;"

_UNTOLD: Final = "hatchway-untold"
"""The user that ssh answers with where no file names one: by itself it would name the local one."""


class Configured(NamedTuple):
    """None for what no file says."""

    user: str | None = None
    port: int | None = None


def configured(line: SshLine, home: Path | None = None, system: Path = SYSTEM_CONFIG) -> Configured:
    """What ssh's files say of the destination of a command line.

    Args:
        home: the user's `.ssh`; that of the user database by default.
        system: the file for all users.
    """
    own = ssh_directory() if home is None else home
    named = values_of(line.options, "F")
    if named:
        files = [] if named[-1].lower() == "none" else [Path(named[-1])]
    else:
        files = [system] if own is None else [own / "config", system]
    # Where the files stand that they include by relative names (ssh_config(5), Include).
    places = [system.parent if file == system or own is None else own for file in files]
    texts = [_own(file) for file in files]
    read = [each for text, place in zip(texts, places, strict=True) for each in _whole(text, place, set())]
    if not any(each is None or _SPOKEN_OF.search(each) for each in read):
        return Configured()
    parts = [_include(file) if file == system else text for file, text in zip(files, texts, strict=True)]
    # Of each setting ssh takes the first value: what stands last counts where there is no other.
    last = (
        "Match final all" if any(each is not None and _FINAL.search(each) for each in read) else "Match all"
    )
    return _asked(line, b"\nMatch all\n".join(parts) + f"\n{last}\nUser {_UNTOLD}\n".encode())


def ssh_directory() -> Path | None:
    """Where OpenSSH looks: in the home of the user database, whatever HOME says. None for a user without."""
    try:
        import pwd
    except ImportError:
        return Path.home() / ".ssh"
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir) / ".ssh"
    except KeyError:
        return None


def _own(file: Path) -> bytes:
    """A file without the lines that `hatchway ssh-config` has put there; nothing where it cannot be read."""
    try:
        text = file.read_bytes()
    except OSError:
        return b""
    if _OURS in text:
        from hatchway.client.ssh.ssh_config import without_include

        text = without_include(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return text


def _include(file: Path) -> bytes:
    return f'Include "{file}"\n'.encode() if file.exists() else b""


def _whole(text: bytes, directory: Path, seen: set[Path]) -> Iterator[bytes | None]:
    """It, and the files that it includes; None for those that ssh has to find itself."""
    yield text
    for included in _INCLUDED.finditer(text):
        for quoted, plain in _WORD.findall(included[1]):
            pattern = os.fsdecode(quoted or plain)
            if "%" in pattern or "$" in pattern:
                yield None
                continue
            for file in _matching(pattern, directory):
                if file not in seen:
                    seen.add(file)
                    yield from _whole(_own(file), directory, seen)


def _matching(pattern: str, directory: Path) -> Iterator[Path]:
    import glob

    # Unlike those of pathlib these take a pattern that begins at the root.
    for found in glob.glob(str(directory / os.path.expanduser(pattern))):  # noqa: PTH111, PTH207
        yield Path(found)


def _asked(line: SshLine, config: bytes) -> Configured:
    program = shutil.which("ssh")
    if program is None:
        return Configured()
    said = [word for value in values_of(line.options, "o") for word in ("-o", value)]
    said += ["-l", line.user] if line.user is not None else []
    said += ["-p", str(line.port)] if line.port is not None else []
    with temporary_directory() as directory:
        file = directory / "config"
        file.write_bytes(config)
        command = [program, "-G", "-F", str(file), *said, "--", line.destination]
        told = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    if told.returncode != 0:
        # It will say itself what it has against its configuration.
        return Configured()
    settings = dict(each.partition(" ")[::2] for each in told.stdout.splitlines())
    user, port = settings.get("user"), settings.get("port", "")
    return Configured(
        None if user in (None, "", _UNTOLD) else user, int(port) if port.isdigit() and int(port) else None
    )
